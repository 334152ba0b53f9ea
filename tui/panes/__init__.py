"""The studio's panes. Each reads the draft or the directory of a run, and posts messages."""
