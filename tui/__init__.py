"""The terminal studio and the command line. Imports `engine`, never the other way round."""
