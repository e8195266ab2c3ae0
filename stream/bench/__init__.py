"""`distil-stream bench COMMAND`: one file for each command that measures speed, accuracy or cost.

Each prints a table, and one JSON line last. `save` runs such a command and stores its line with the
facts of the machine in benchmarks/results; `results` writes docs/benchmarks.md from the stored
lines. docs/decisions gives the reasons for the defaults.

Speed: `engine` (a window, compared with other engines), `load` (number of streams that a server can
serve), `idle`, `readers`, `loop` (attacks), `longform`, `page` (a real browser), `ttfs` (turns of a
voice agent). Words: `rehearsal` (settings of a session on the audio clock alone), `confidence`,
`guards`, `languages`, `margins`, `repeated`, `short_windows`, `terms`, `voice`, `word_times`.
`distil-stream evaluate` measures a whole server with recordings.
"""
