"""The runs that the studio trains, watches, lists and draws."""
