"""Bronze to silver: frames in, frames out; every row accounted for, every pick by content."""
