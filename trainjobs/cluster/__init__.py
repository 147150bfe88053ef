"""The only Kubernetes code of the library: what a training pod, and later the command line, asks of the API server."""
