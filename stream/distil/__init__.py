"""Distils a Whisper model into a student with few decoder layers and its teacher's encoder.

The method is that of Gandhi, von Platen and Rush, "Distil-Whisper: Robust Knowledge Distillation
via Large-Scale Pseudo Labelling" (arXiv:2311.00430), with two differences: windows are cut, padded
and degraded as in this server, and the outputs of the frozen encoder and of the teacher are stored
on disk, so that a pass over the data costs little more than the student's decoder.
"""
