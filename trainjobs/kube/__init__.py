"""The one access to a Kubernetes API server: for the operator, for the pods, and for the command line.

Knows no run and no criterion. `transport.py` alone touches the Kubernetes client; `client.py` is what is done with it,
verb by verb; `own_trainjob.py` is what a training pod asks of the server.
"""
