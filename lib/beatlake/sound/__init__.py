"""Sound: previews of recordings, from addresses to files that can be decoded."""
