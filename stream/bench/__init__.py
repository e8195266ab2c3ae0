"""`distil-stream bench COMMAND`: one file for each command that measures speed, accuracy or cost.

Each prints a table, and one JSON line last. `save` runs such a command and stores its line with the
facts of the machine in benchmarks/results; `results` writes docs/benchmarks.md from the stored
lines. docs/decisions gives the reasons for the defaults.

Speed: `engine` (a window, next to other engines), `load` (streams that a server carries), `idle`,
`readers`, `longform`, `page` (a real browser), `ttfs` (turns of a voice agent), `loop` (the delay
of other clients during attacks). Words: `rehearsal` (settings of a session on the audio clock
alone), `confidence`, `guards` (what the checks against invented text remove), `languages`,
`margins`, `repeated` (speech that repeats itself), `short_windows`, `terms`, `voice`, `word_times`.
`distil-stream evaluate` measures a whole server with recordings.
"""
