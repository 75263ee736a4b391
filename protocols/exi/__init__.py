"""Schema-informed EXI 1.0, compiled from typed declarations; independent of the messages of any standard.

`declare` holds the declaration vocabulary. `schema` and `grammar` derive the EXI description and the event codes.
`encoder` and `decoder` compile Python functions, and `codec` is the public interface. `explain` walks the same grammar
and describes every bit; `plain` maps messages to JSON and back.
"""
