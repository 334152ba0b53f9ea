"""The studio's panes: each reads the draft or one run's directory and posts messages."""
