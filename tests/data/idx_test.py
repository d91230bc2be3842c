"""tfae.data.idx: IDX files, built here byte by byte with struct, and what is refused."""

import gzip
import os
import pathlib
import struct
import subprocess
import sys
import tracemalloc

from hypothesis import HealthCheck, given, settings, strategies as st
import numpy as np
import pytest

from tfae import machine
from tfae.data import idx
from tfae.errors import InputError

IMAGES = np.arange(2 * 3 * 5, dtype=np.uint8).reshape(2, 3, 5) * 8
LABELS = np.array([9, 0], np.uint8)


def header(*sizes, dtype=0x08, rank=None, magic=b"\0\0"):
  return magic + bytes([dtype, len(sizes) if rank is None else rank]) \
      + struct.pack(f">{len(sizes)}I", *sizes)


IMAGE_BYTES = header(2, 3, 5) + IMAGES.tobytes()
LABEL_BYTES = header(2) + LABELS.tobytes()


def put(tmp_path, data, name="file-ubyte"):
  path = tmp_path / name
  path.write_bytes(data)
  return path


def refused(read, path, *parts):
  """Asserts that the message is one line that names the file and holds `parts`."""
  with pytest.raises(InputError) as caught:
    read(path)
  message = str(caught.value)
  assert "\n" not in message
  for part in (str(path), *parts):
    assert part in message


def test_bytes_that_are_in_memory_are_read_and_checked_without_a_copy(tmp_path):
  path = tmp_path / "images"
  images = idx.read_images(content := idx.Content(path, IMAGE_BYTES))
  np.testing.assert_array_equal(images, IMAGES)
  assert np.shares_memory(images, np.frombuffer(content.data, np.uint8))
  for data, said in ((IMAGE_BYTES[:-1], "found at most 45 bytes"),
                     (IMAGE_BYTES + b"x", "trailing bytes")):
    with pytest.raises(InputError, match=said):
      idx.read_images(idx.Content(path, data))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
@pytest.mark.parametrize("name", ["train-images-idx3-ubyte", "a"])
def test_images_and_labels_come_back_raw_and_gzipped(tmp_path, pack, name):
  images = idx.read_images(put(tmp_path, pack(IMAGE_BYTES), name))
  labels = idx.read_labels(str(put(tmp_path, pack(LABEL_BYTES), name)))
  np.testing.assert_array_equal(images, IMAGES)
  np.testing.assert_array_equal(labels, LABELS)
  assert images.dtype == labels.dtype == np.uint8


def test_gzip_named_gz_is_read(tmp_path):
  path = put(tmp_path, gzip.compress(IMAGE_BYTES), "i.gz")
  np.testing.assert_array_equal(idx.read_images(path), IMAGES)


def test_a_raw_file_named_gz_is_refused_as_not_gzip(tmp_path):
  refused(idx.read_images, put(tmp_path, IMAGE_BYTES, "i.gz"), "not gzip", "0x0000", "0x1f8b")


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_a_truncated_file_is_refused_with_found_and_expected_bytes(tmp_path, pack):
  path = put(tmp_path, pack(IMAGE_BYTES[:-1]))
  refused(idx.read_images, path, "truncated", "45", "expected 46", "2 x 3 x 5")


def test_every_shorter_prefix_is_refused_raw_and_gzipped(tmp_path):
  for data in (IMAGE_BYTES, gzip.compress(IMAGE_BYTES)):
    for n in range(len(data)):
      refused(idx.read_images, put(tmp_path, data[:n]))


@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_trailing_bytes_are_refused(tmp_path, pack):
  path = put(tmp_path, pack(IMAGE_BYTES + b"\0"))
  refused(idx.read_images, path, "trailing bytes", "more than 46", "expected 46")


@pytest.mark.parametrize("data, parts", [
    (b"", ("truncated", "found 0 bytes", "at least 4")),
    (b"\0\0\x08", ("truncated", "found 3 bytes")),
    (header(2, 3), ("rank at offset 3", "found 2", "expected 3")),
    (LABEL_BYTES, ("rank at offset 3", "found 1", "expected 3")),
    (header(2, 3, 5)[:-1], ("truncated", "found 15 bytes", "header of 16")),
    (header(2, 3, 5, magic=b"\x89P") + bytes(30), ("magic", "offset 0", "0x8950", "0x0000")),
    (header(2, 3, 5, dtype=0x0D) + bytes(120), ("dtype", "offset 2", "0x0d (float32)", "0x08")),
    (header(2, 3, 5, dtype=0x77) + bytes(30), ("dtype", "0x77 (unknown)", "0x08")),
    (header(0, 3, 5), ("images at offset 4", "found 0", "at least 1")),
    (header(2, 0, 5), ("height at offset 8", "found 0")),
    (header(2, 3, 0), ("width at offset 12", "found 0")),
])
def test_a_wrong_header_is_refused_by_field_and_offset(tmp_path, data, parts):
  refused(idx.read_images, put(tmp_path, data), *parts)


@pytest.mark.parametrize("sizes", [
    (0xFFFFFFFF, 0xFFFFFFFF, 0xFFFFFFFF),
    (0x80000000, 2, 0x80000000),  # the product is 0 in 64 bits
    (0xFFFFFFFF, 1, 1),
])
@pytest.mark.parametrize("pack", [bytes, gzip.compress])
def test_sizes_that_overflow_are_refused_before_anything_is_read(
    tmp_path, monkeypatch, sizes, pack):
  path = put(tmp_path, pack(header(*sizes) + bytes(100)))
  monkeypatch.setattr(idx, "read_up_to", lambda *_: pytest.fail("data was read"))
  total = 16 + sizes[0] * sizes[1] * sizes[2]
  refused(idx.read_images, path, f"expected {total}", "offset 4")


def test_a_gzip_bomb_is_not_unpacked_past_its_declared_size(tmp_path, monkeypatch):
  path = put(tmp_path, gzip.compress(header(1, 1, 1) + bytes(50_000_000)))
  given_out = []
  read = gzip.GzipFile.read

  def counted(self, size=-1):
    data = read(self, size)
    given_out.append(len(data))
    return data

  monkeypatch.setattr(gzip.GzipFile, "read", counted)
  refused(idx.read_images, path, "more than 17 bytes")
  assert sum(given_out) == 18


def bomb(path, mebibytes):
  """Gzip of a file that is right in all, and of that size: members of 64 MiB, one after another."""
  member = gzip.compress(bytes(64 << 20), 1)
  head = gzip.compress(header(mebibytes // 64, 1 << 13, 1 << 13))
  path.write_bytes(head + member * (mebibytes // 64))


def test_more_data_than_the_machine_has_memory_is_refused_before_it_is_read(tmp_path, monkeypatch):
  bomb(tmp_path / "bomb", 1 << 12)
  assert (tmp_path / "bomb").stat().st_size < 20 << 20
  monkeypatch.setattr(idx, "read_up_to", lambda *_: pytest.fail("data was read"))
  monkeypatch.setattr(machine, "memory_bytes", lambda: (4 << 30) - 1)
  refused(idx.read_images, tmp_path / "bomb", "4294967296 bytes", "4294967295 of memory")


def test_more_data_than_the_process_may_take_is_refused_and_the_process_goes_on(tmp_path):
  bomb(tmp_path / "bomb", 1 << 10)
  (tmp_path / "huge").write_bytes(gzip.compress(header(*[2**32 - 1] * 3)))
  program = """
import resource, sys
from tfae.data import idx
from tfae.errors import InputError
pages = int(open("/proc/self/statm").read().split()[0])
limit = pages * resource.getpagesize() + (96 << 20)
resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
for path in sys.argv[1:]:
  try:
    idx.read_images(path)
  except InputError as error:
    print(error)
"""
  done = subprocess.run([sys.executable, "-c", program, tmp_path / "bomb", tmp_path / "huge"],
                        env={**os.environ, "PYTHONPATH": str(pathlib.Path(__file__).parents[2])},
                        capture_output=True, text=True, check=False)
  assert done.returncode == 0, done.stderr
  taken, declared = done.stdout.splitlines()
  assert "bomb: too large: 1073741824 bytes" in taken and "this process may take" in taken
  assert "huge: truncated" in declared and str(16 + (2**32 - 1)**3) in declared


def test_damaged_gzip_is_refused(tmp_path):
  data = bytearray(gzip.compress(IMAGE_BYTES))
  data[-8] ^= 1  # the checksum
  refused(idx.read_images, put(tmp_path, bytes(data), "i.gz"), "can't be read", "CRC")


def test_a_missing_file_a_folder_and_a_pipe_are_refused(tmp_path):
  os.mkfifo(tmp_path / "pipe")
  for path in (tmp_path / "nowhere", tmp_path, tmp_path / "pipe"):
    refused(idx.read_images, path, "not found")


def test_a_label_out_of_range_is_refused_by_index_and_offset(tmp_path):
  path = put(tmp_path, header(4) + bytes([0, 9, 10, 11]))
  refused(idx.read_labels, path, "label 2 at offset 10", "found 10", "expected 0 to 9")
  refused(lambda path: idx.read_labels(path, classes=11), path, "label 3 at offset 11", "found 11")
  assert idx.read_labels(path, classes=12).tolist() == [0, 9, 10, 11]
  assert idx.read_labels(path, classes=None).tolist() == [0, 9, 10, 11]


@pytest.mark.parametrize("classes", [0, 257, 2.0, True, "10"])
def test_a_wrong_number_of_classes_is_refused(tmp_path, classes):
  with pytest.raises(InputError, match="classes="):
    idx.read_labels(put(tmp_path, LABEL_BYTES), classes=classes)


def test_a_pair_comes_back_and_unequal_counts_name_both_files(tmp_path):
  images, labels = put(tmp_path, IMAGE_BYTES, "images"), put(tmp_path, LABEL_BYTES, "labels")
  np.testing.assert_array_equal(idx.read_pair(images, labels)[0], IMAGES)
  np.testing.assert_array_equal(idx.read_pair(images, labels)[1], LABELS)
  put(tmp_path, header(3) + bytes(3), "labels")
  refused(lambda path: idx.read_pair(path, labels), images, str(labels), "found 3", "expected 2")


fuzzing = settings(max_examples=300, deadline=None,
                   suppress_health_check=[HealthCheck.function_scoped_fixture])


def check(path, data, raw):
  """Reads `data`: InputError, or exactly what the bytes of `raw` say."""
  path.write_bytes(data)
  for read, rank in ((idx.read_images, 3), (idx.read_labels, 1)):
    try:
      array = read(path)
    except InputError as error:
      assert str(path) in str(error)
      continue
    assert raw[:4] == bytes([0, 0, 8, rank])
    assert array.shape == tuple(np.frombuffer(raw, ">u4", rank, 4))
    assert array.dtype == np.uint8 and array.size and array.tobytes() == raw[4 + 4 * rank:]


@fuzzing
@given(data=st.binary(max_size=64))
def test_random_bytes_give_an_error_or_the_right_array(tmp_path, data):
  check(tmp_path / "file", data, data)


@fuzzing
@given(rank=st.sampled_from([1, 3]), sizes=st.lists(st.integers(0, 4), min_size=3, max_size=3),
       extra=st.integers(-2, 1), packed=st.booleans(), fill=st.integers(0, 255))
def test_small_headers_over_random_data_give_an_error_or_the_right_array(
    tmp_path, rank, sizes, extra, packed, fill):
  sizes = sizes[:rank]
  data = header(*sizes) + bytes([fill]) * max(0, int(np.prod(sizes)) + extra)
  check(tmp_path / "file", gzip.compress(data) if packed else data, data)


@fuzzing
@given(source=st.sampled_from([IMAGE_BYTES, LABEL_BYTES]), packed=st.booleans(),
       at=st.integers(0, 200), new=st.binary(max_size=4), cut=st.integers(0, 4))
def test_a_mutated_valid_file_gives_an_error_or_the_right_array(
    tmp_path, source, packed, at, new, cut):
  data = gzip.compress(source, mtime=0) if packed else source
  at %= len(data)
  data = data[:at] + new + data[at + cut:]
  raw = data
  if data[:2] == b"\x1f\x8b":
    try:
      raw = gzip.decompress(data)
    except Exception:  # then only InputError is right
      raw = b""
  check(tmp_path / "file", data, raw)


@fuzzing
@given(cuts=st.lists(st.integers(0, len(IMAGE_BYTES)), max_size=4), level=st.integers(0, 9),
       behind=st.one_of(st.just(b""), st.integers(1, 9).map(bytes), st.binary(max_size=6)),
       lost=st.integers(0, 30))
def test_gzip_members_in_a_row_trailing_bytes_and_cut_streams_give_an_error_or_the_right_array(
    tmp_path, cuts, level, behind, lost):
  edges = [0, *sorted(cuts), len(IMAGE_BYTES)]
  data = b"".join(gzip.compress(IMAGE_BYTES[a:b], level) for a, b in zip(edges, edges[1:]))
  whole = lost == 0 and not behind.strip(b"\0")  # gzip allows zeros behind the last member
  data = data[:len(data) - lost] + behind
  check(tmp_path / "file", data, IMAGE_BYTES)
  if whole:
    np.testing.assert_array_equal(idx.read_images(tmp_path / "file"), IMAGES)


def test_a_size_that_gzip_could_hold_costs_no_memory_before_the_data_are_there(tmp_path):
  # 64 KiB that can't be packed: as gzip they could be 64 MiB, by their size alone.
  noise = np.random.default_rng(0).bytes(1 << 16)
  (tmp_path / "file").write_bytes(gzip.compress(header(1 << 6, 1 << 10, 1 << 10) + noise))
  tracemalloc.start()
  try:
    refused(idx.read_images, tmp_path / "file", "truncated: found 65552 bytes", "expected 67108880")
    assert tracemalloc.get_traced_memory()[1] < 4 << 20
  finally:
    tracemalloc.stop()


@fuzzing
@given(sizes=st.lists(st.one_of(st.integers(2**32 - 3, 2**32 - 1), st.integers(1, 3),
                                st.sampled_from([2**16, 2**31, 2**31 - 1])),
                      min_size=3, max_size=3).filter(lambda sizes: max(sizes) > 3),
       data=st.binary(max_size=40), packed=st.booleans())
def test_a_declared_size_costs_no_memory_before_the_data_are_there(tmp_path, sizes, data, packed):
  path = tmp_path / "file"
  data = header(*sizes) + data
  path.write_bytes(gzip.compress(data) if packed else data)
  tracemalloc.start()
  try:
    refused(idx.read_images, path)
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
  finally:
    tracemalloc.stop()


def test_mapped_images_are_those_of_the_file_and_can_not_be_written_to(tmp_path):
  images = idx.map_images(put(tmp_path, IMAGE_BYTES))
  np.testing.assert_array_equal(images, IMAGES)
  assert isinstance(images, np.memmap) and images.dtype == np.uint8 and not images.flags.writeable
  assert idx.is_raw(tmp_path / "file-ubyte")


@pytest.mark.parametrize("data, parts", [
    (IMAGE_BYTES[:-1], ("truncated: found 45 bytes", "expected 46 (a header of 16 bytes")),
    (IMAGE_BYTES + b"\0", ("trailing bytes: found 47 bytes", "expected 46")),
    (header(2**32 - 1, 2**32 - 1, 2**32 - 1), ("truncated", "16")),
    (LABEL_BYTES, ("rank at offset 3", "found 1, expected 3")),
    (gzip.compress(IMAGE_BYTES), ("is gzip", "Unpack it, or use data.memory_map='off'")),
    (b"", ("truncated: found 0 bytes",))])
def test_a_file_that_can_not_be_mapped_is_refused_as_it_is_read(tmp_path, data, parts):
  refused(idx.map_images, put(tmp_path, data), *parts)
