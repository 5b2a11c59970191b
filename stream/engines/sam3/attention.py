"""Reading the memory: the present picture's features attend to the memories and pointers of many objects at once.

The memory attention of SAM 2 ("SAM 2: Segment Anything in Images and Videos") with rotary position embeddings, on the
weights of transformers' modules. Those take one object at a time; here the objects are the batch.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from stream.engines.sam3.shape import Shape

TEMPERATURE = 10_000.0


class MemoryAttention:
    """All objects of a call have equally many memories and pointers. Nothing here synchronises."""

    def __init__(
        self, tracker: Any, position: Tensor, memory_position: Tensor, shape: Shape, *, narrow: bool | None = None
    ) -> None:
        """`position`: `(tokens, hidden)` of the picture, `memory_position`: `(tokens, memory)` of every memory.

        `narrow`: read the memories themselves and project what was read, instead of projecting all of them before.
        Fewer operations, but all scores lie in memory and not in a GPU's registers: by default on CPUs only.
        """
        self._shape = shape
        self._layers = list(tracker.memory_attention.layers)
        for layer in self._layers:
            if isinstance(layer.activation, nn.ReLU):
                # What it rectifies is the largest tensor here, and nobody else reads it.
                layer.activation = nn.ReLU(inplace=True)
        self._norm = tracker.memory_attention.layer_norm
        self._project_age = tracker.temporal_positional_encoding_projection_layer
        rotation = tracker.memory_attention.rotary_emb
        # One complex number for each pair of values: one pass over the keys, which are most of the memory traffic.
        self._turns = torch.complex(rotation.cos[0, :, 0::2], rotation.sin[0, :, 0::2])
        self._position = 0.1 * position
        times = tracker.memory_temporal_positional_encoding.detach().flatten(1)
        # Row k is for the memory of k frames ago; row 0, for conditioning frames, is the last of the model's.
        self._memory_positions = memory_position + times.roll(1, 0)[:, None]
        self._heads = int(tracker.config.memory_attention_num_attention_heads)
        self._narrow = self._heads == 1 and (position.device.type == "cpu" if narrow is None else narrow)
        half = shape.hidden // 2
        powers = 2 * torch.div(torch.arange(half, device=position.device), 2, rounding_mode="floor") / half
        self._periods = TEMPERATURE ** powers.to(torch.float32)

    def __call__(
        self, coarse: Tensor, pictures: Tensor, memories: Tensor, offsets: Tensor, pointers: Tensor, ages: Tensor
    ) -> Tensor:
        """Features of the picture, conditioned on each object's memory: `(N, hidden, grid, grid)`.

        `coarse`: `(B, hidden, grid, grid)`; `pictures`: int64 `(N,)`, each object's index in it; `memories`:
        `(N, F, tokens, memory)`, `offsets`: int64 `(N, F)`, frames ago (0 for conditioning frames); `pointers`:
        `(N, P, hidden)`; `ages`: float32 `(N, P)`, frames ago.
        """
        present = coarse.flatten(2).transpose(1, 2) + self._position
        keys, values = self._tokens(memories, offsets, pointers, ages)
        frames = memories.shape[1]
        first = self._layers[0]
        # Up to the first look into the memory all objects of a picture are alike.
        states = self._attend_self(first, present).index_select(0, pictures)
        states = self._read(first, states, keys, values, frames)
        for layer in self._layers[1:]:
            states = self._read(layer, self._attend_self(layer, states), keys, values, frames)
        normed: Tensor = self._norm(states)
        return normed.transpose(1, 2).reshape(-1, self._shape.hidden, self._shape.grid, self._shape.grid)

    def _tokens(self, memories: Tensor, offsets: Tensor, pointers: Tensor, ages: Tensor) -> tuple[Tensor, Tensor]:
        """What is attended to, with and without its position: `(N, F * tokens + P * splits, memory)` each."""
        (count, frames), (tokens, width) = memories.shape[:2], self._memory_positions.shape[1:]
        placed = frames * tokens
        splits = pointers.reshape(count, -1, width)
        when = self._age_encoding(ages).to(pointers.dtype).repeat_interleave(self._shape.splits, dim=1)
        values = pointers.new_empty(count, placed + splits.shape[1], width)
        values[:, :placed].view_as(memories).copy_(memories)
        values[:, placed:] = splits
        keys = values.clone()
        keys[:, :placed].view_as(memories).add_(
            self._memory_positions.index_select(0, offsets.flatten()).view_as(memories)
        )
        keys[:, placed:].add_(when)
        return keys, values

    def _age_encoding(self, ages: Tensor) -> Tensor:
        phases = (ages / self._shape.pointers)[..., None] / self._periods
        encoded = torch.cat((phases.sin(), phases.cos()), dim=-1)
        projected: Tensor = self._project_age(encoded.to(self._position.dtype))
        return projected

    def _attend_self(self, layer: Any, states: Tensor) -> Tensor:
        attention = layer.self_attn
        normed = layer.layer_norm1(states)
        query, key = self._rotated(attention.q_proj(normed)), self._rotated(attention.k_proj(normed))
        read = _attend(attention, query, key, _heads(attention.v_proj(normed), attention))
        return states + torch.as_tensor(attention.o_proj(read))

    def _read(self, layer: Any, states: Tensor, keys: Tensor, values: Tensor, frames: int) -> Tensor:
        """Look into the memory, then the layer's feed-forward part."""
        attention = layer.cross_attn_image
        query = self._rotated(attention.q_proj(layer.layer_norm2(states)))
        key = self._rotated(attention.k_proj(keys), frames)
        if self._narrow:
            # What a projection of values reads is the projection of what is read: there are far fewer of these.
            read = attention.v_proj(_attend_narrow(attention, query[:, 0], key[:, 0], values))
        else:
            read = _attend(attention, query, key, _heads(attention.v_proj(values), attention))
        states = states + attention.o_proj(read)
        expanded = layer.activation(layer.linear1(layer.layer_norm3(states)))
        return states + torch.as_tensor(layer.linear2(expanded))

    def _rotated(self, states: Tensor, frames: int = 1) -> Tensor:
        """Heads of `(N, length, channels)`, whose first `frames * tokens` are rotated by their place, in float32."""
        count, tokens = len(states), self._shape.tokens
        heads, pairs = self._heads, self._turns.shape[-1]
        placed = states[:, : frames * tokens].view(count, frames, tokens, heads, pairs, 2)
        wide = placed.float()
        torch.view_as_complex(wide).mul_(self._turns[:, None])
        if wide.dtype != placed.dtype:
            placed.copy_(wide)
        return states.view(count, -1, heads, 2 * pairs).transpose(1, 2)


def _heads(states: Tensor, attention: Any) -> Tensor:
    """`(N, length, channels)` to `(N, heads, length, head)`."""
    count, length = states.shape[:2]
    return states.view(count, length, attention.num_attention_heads, attention.head_dim).transpose(1, 2)


def _attend(attention: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """`(N, length, channels)`."""
    read = functional.scaled_dot_product_attention(query, key, value, scale=attention.scaling)
    return read.transpose(1, 2).flatten(2)


def _attend_narrow(attention: Any, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    """One head, `(N, length, channels)`, with values of another width; object by object, so that scores stay cached."""
    made = [
        torch.mm(torch.mm(one * attention.scaling, keys.T).softmax(dim=-1), values)
        for one, keys, values in zip(query, key, value, strict=True)
    ]
    return torch.stack(made)
