"""Runs a model in every runtime, each in a process of its own, and compares what they answer."""
