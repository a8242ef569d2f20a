"""Faithful synthetic input: the 20 Beatport and Spotify files, at any scale, with known truth.

`generate` writes the files of the real dataset in its format, `sp_track_popularity.csv` (the
optional 21st input) and `truth.json`. At scale 1 the clean rows reproduce every published count of
the dataset exactly; at other scales in proportion. Unless `clean`, defective records of every kind
come on top, in known places. The same scale and seed give the same bytes on any number of
processes. With `previews` it writes as many short clips of sound beside them; of the other files
only truth.json changes.

How it works: `shape` says how often each ISRC repeats on each side, `people`, `releases` and
`links` place the recordings, `features` draws the audio features, `signal` the popularity; `build`
puts them together as a `world` of arrays. `files` turns any rows of it into texts (`names`,
`dates`, `texts`), `defects` plans the defective records, `writer` makes the bytes, `truth` what to
expect of them, `generator` writes it all. `previews` is what makes clips.

truth.json
----------
`schema_version`, `scale`, `seed`, `clean`
    What was generated.
`files.<name>`
    `file`: its file name. `records`: physical records after the header; a record with a quoted line
    break is one, a blank line is one, an unclosed quote makes one of its line.
    `records = kept_rows + merged_duplicates + set_aside`, and `kept_rows` is `clean_rows` and the
    planted rows of rules with outcome `keep`, except `duplicate_key`.
    `defects.<rule>`: `outcome` (`set_aside` or `keep`), `count` of planted records, and up to 20
    `examples` with `record` (1 is the first after the header), `byte_offset` and `key`.
    `flags.<rule>`: rows that meet `conditions.<rule>`, among the clean and among the kept rows;
    clean rows have flaws too (bpm 0, partial dates).
    `sums.<column>`: exact sums over the clean rows; `_e3` and `_e4` mean thousandths and
    ten-thousandths. Which of two rows of a `duplicate_key` survives changes no sum.
    `bytes`, `sha256`: of the file.
`joins.clean`, `joins.kept`
    Row counts, null ISRC, distinct ISRC and join counts as in the dataset's table, over the clean
    rows and over all rows that are kept (one row per key).
`recordings.clean`, `recordings.kept`
    `total`: distinct ISRC in any of audio_features, sp_track, bp_track; `has_audio`, `has_spotify`,
    `has_beatport`. `by_year`: by the year of the earliest Spotify release of the ISRC, where a
    partial date counts as its last possible day; `none` for ISRC without (dated) Spotify release.
    `by_genre`: by genre_id of the ISRC's Beatport rows, each genre of an ISRC once.
`conditions.<rule>`
    The condition behind each of the `flags`, in SQL or words.
`signal.track_popularity`
    The planted model and its coefficients, see `signal`; `release_popularity` is the other target.
`signal.ceilings`
    Over the Spotify tracks: `mean` and `sd` of popularity, `majority_bin_accuracy`, and for each
    set of known effects the best possible `r2_*` and `three_bin_accuracy_*` (three equal-width
    bins of 0..83): `everything_but_noise`; `artist_genre_date_audio`; `genre_date_audio`, which is
    what a model can know of a new artist. Nearly all tracks are in the lowest bin, so that the
    three accuracies say little.
`signal.variance`
    Over the Spotify tracks, the variance of eta and of its parts: `genre`, `date` (season and
    year), `audio`, `artist`, `release`, `noise`. The parts are nearly independent, so that a part
    by `eta` is its share.
`signal.artists`
    `number` of main artists with a Spotify track, `mean` and `sd` of their effects, each artist
    counted once: the effects are standardised over the tracks, where some artists have many.
`previews`
    Only where there are clips. `folder`, `number`, `seconds`, `sample_rate` (all are mono), and
    `by_genre`: clips by genre_id. The recordings are a plain sample, by a hash, of those with a
    Beatport genre, audio features and one Spotify track with a preview: those of a number are among
    those of a larger one, and genres and artists are as common as in the files.
    `spreads.<property>`: the standard deviation by which an artist's sound lies from that of the
    genre, and a clip from that of the artist (of the logarithm where `ratio`), and the limits. What
    is normal of a genre stands in `data/genre_sounds.csv`.
    `artists.<artist_id>`: what all clips of an artist share: `shift`, how far each property lies
    from the genre's, tilt and resonance of the spectrum, echo, the pitch of the drums, detuning.
    `clips`: `file` (the 40 hexadecimal digits of the recording's preview_url, `.mp3` or `.ogg` by a
    hash), `isrc`, `artist_id` of the main artist, `genre_id`; `tempo`, the beats per minute of the
    recording as played (`bpm` of bp_track is half of it where it is written at half time);
    `key` and `mode` as in audio_features; `rhythm`, one of `previews.rhythms`; `first_step`, at
    which of the bar's sixteen steps it begins; `moves`, whether the chords change; the properties;
    `samples_sha256`, of the 16-bit samples (little-endian) before they are coded. The samples are
    the same wherever numpy and scipy compute the same. The bytes of a file are not: they also
    depend on the versions of LAME and Vorbis in libsndfile, which gives every Ogg file a serial
    number by chance.
"""

from __future__ import annotations

from beatlake.synth.generator import generate

__all__ = ["generate"]
