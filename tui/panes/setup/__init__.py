"""The setup pane: the form of the draft, and the plan of the run that it makes."""
