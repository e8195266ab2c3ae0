"""Reports the results of an evaluation as tables, plots, an HTML page and JSON."""
