"""Four logical CPU devices for all tests: placement is tested without a GPU."""

import os

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import hypothesis
import tensorflow as tf

tf.config.set_logical_device_configuration(
    tf.config.list_physical_devices("CPU")[0], [tf.config.LogicalDeviceConfiguration()] * 4)
tf.config.set_soft_device_placement(False)

hypothesis.settings.register_profile("tfae", deadline=None, derandomize=True)
hypothesis.settings.load_profile("tfae")

