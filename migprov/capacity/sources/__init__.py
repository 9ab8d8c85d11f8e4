"""Where measurements come from: Prometheus, the nodes themselves, a table. Each gives a list of `Usage`."""
