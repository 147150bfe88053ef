"""The types as Kubernetes takes them: a CustomResourceDefinition with a structural schema and rules in CEL.

Says nothing of its own: every word, bound and default is read from the types. Read `definition.py` first;
`reference.py` shows the same to people, as docs/reference.md.
"""
