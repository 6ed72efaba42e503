"""The graph of a function: every formula that ran in it, recorded once.

>>> from nnscratch import nn, ones
>>> graph = record(nn.Sequential(nn.Linear(4, 3), nn.ReLU()), ones(2, 4))
>>> [(node.formula.name, node.layer.path) for node in graph.nodes]
[('linear', '0'), ('relu', '1')]
"""

from nnscratch.graph.graph import Graph, HostEvent, LayerCall, Node, Value
from nnscratch.graph.layers import LayerTracker
from nnscratch.graph.recorder import Recorder
from nnscratch.graph.recording import record

__all__ = [
    "Graph",
    "HostEvent",
    "LayerCall",
    "LayerTracker",
    "Node",
    "Recorder",
    "Value",
    "record",
]
