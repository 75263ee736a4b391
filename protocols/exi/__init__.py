"""Schema-informed EXI 1.0, compiled from typed declarations; knows no message of any standard.

`declare` is the vocabulary in which a room writes down its messages, `schema` and `grammar` read those declarations as
EXI 1.0 does, `encoder` and `decoder` turn them into Python functions, `codec` is what everybody else calls. `explain`
walks the same grammar slowly and says what every bit means; `plain` maps messages to JSON and back.
"""
