"""Vehicle lending to shelters (Blue Switch): agreements, call-outs, arrivals, energy returned, audit.

All modules but `service`, `persistence` and `agreement_file` are pure: values and time in, values and events out.
"""
