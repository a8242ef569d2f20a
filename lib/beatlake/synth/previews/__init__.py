"""Short clips of music whose sound carries the planted genre: `beatlake generate --previews N`.

`choice` says which recordings have a clip, `rhythms` holds bars of drums, `sounds` draws what is
planted from the recording, its genre and its artist, `instruments` makes single sounds,
`rendering` a clip of them, `clips` the files. It needs the extra `sound`.
"""
