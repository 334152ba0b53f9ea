"""The verbs of the command line, one module each group of them; imported when the verb is used."""
