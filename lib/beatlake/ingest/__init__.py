"""Reading the input files: finding them, checking their form, and giving back rows as text."""
