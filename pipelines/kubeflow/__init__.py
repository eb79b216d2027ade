"""Talking to the API server of Kubeflow Pipelines: submit, wait, explain. Needs neither kfp nor torch.

kfp's own client prints, has no time-outs, repeats a POST blindly and raises its HTTP library's errors. What is needed
here is a handful of JSON requests, so they are made directly, with errors that a person can act on.
"""
