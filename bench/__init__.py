"""Benchmarks of netsuite: ``python -m bench NAME``. See :file:`README.rst`."""
