"""Prints a scalar as TensorBoard itself writes it to an event file, in hexadecimal, for the tests of log.rs.

Usage: python tensorboard_record.py     (made with tensorboard 2.21.0)
"""
import io
from tensorboard.compat.proto.event_pb2 import Event
from tensorboard.compat.proto.summary_pb2 import Summary
from tensorboard.summary.writer.record_writer import RecordWriter

file = io.BytesIO()
summary = Summary(value=[Summary.Value(tag="loss", simple_value=0.0)])
RecordWriter(file).write(Event(wall_time=1.5, step=7, summary=summary).SerializeToString())
print(file.getvalue().hex())
