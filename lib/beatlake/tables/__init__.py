"""What the lake's tables are: one spec per table, one module per layer."""
