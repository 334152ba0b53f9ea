"""The training library of torchdeck: usable from a script, a notebook, the command line and the studio.

Imports nothing of the screen. Data flows one way:
config -> build -> trainer -> run directory -> reader.
"""
