"""An experiment on a Ray cluster that loses nodes: the cluster, the run, the page."""
