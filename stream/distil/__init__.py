"""Distilling a Whisper model: a student of few decoder layers, with its teacher's encoder.

After Gandhi, von Platen and Rush, "Distil-Whisper: Robust Knowledge Distillation via Large-Scale
Pseudo Labelling" (arXiv:2311.00430), with two things of our own: the windows are cut, padded and
spoilt as this server's clients do it, and what the frozen encoder and the teacher say of them is
kept on disk, so that a pass over the data costs the student's own decoder and little more.
"""
