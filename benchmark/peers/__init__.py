"""What public projects offer, and which loss of ours is the same."""

from benchmark.peers.boxes import BOX_PEERS
from benchmark.peers.masks import MASK_PEERS
from benchmark.peers.peer import Peer, our_mean, public_mean
from benchmark.peers.unrelated import UNRELATED

PEERS: tuple[Peer, ...] = (*BOX_PEERS, *MASK_PEERS)
"""Every loss of boxes or masks of the projects that the table covers."""

__all__ = ["PEERS", "UNRELATED", "Peer", "our_mean", "public_mean"]
