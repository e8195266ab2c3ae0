"""Finds and loads the weights of models, from several sources and in several formats."""
