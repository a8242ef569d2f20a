"""Models on tables: splits that promise something, gates that hold them to it, honest scores."""
