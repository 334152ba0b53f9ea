"""The terminal studio and the command line. It imports `engine`; `engine` never imports it."""
