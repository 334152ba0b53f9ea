"""How the studio looks: its themes, and what the user prefers."""
