"""Runs: which stages must run, running them, auditing what they made, and publishing it."""
