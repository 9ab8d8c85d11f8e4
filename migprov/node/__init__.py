"""The node program: one JSON request in, one JSON reply out. Standard library and pynvml, Python 3.8."""
