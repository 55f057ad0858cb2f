"""Reports, tensors and files, against NumPy, safetensors and gguf."""

import json
import threading

import gguf
import numpy as np
import pytest
import safetensors.numpy
from safetensors import safe_open

import glassbox


def test_a_folder_and_a_file_tell_the_same_model(sample):
    with glassbox.open(sample / "hf") as folder, glassbox.open(sample / "gguf" / "sample-f16.gguf") as file:
        assert folder.report["format"] == "safetensors" and file.report["format"] == "GGUF"
        assert folder.report["architecture"] == file.report["architecture"] == "llama"
        assert folder.report["parameters"] == file.report["parameters"]
        assert folder.check()["summary"]


def test_every_tensor_of_a_safetensors_folder_is_what_the_library_reads(sample):
    index = json.loads((sample / "hf" / "model.safetensors.index.json").read_text())
    with glassbox.open(sample / "hf") as model:
        assert set(model) == set(index["weight_map"])
        for name, shard in index["weight_map"].items():
            with safe_open(sample / "hf" / shard, framework="numpy") as file:
                expected = file.get_slice(name)
                assert list(model[name].shape) == expected.get_shape()
                try:
                    values = expected[:]
                except TypeError:
                    continue  # bfloat16, which NumPy lacks
            np.testing.assert_array_equal(model[name].numpy(), values)


@pytest.mark.parametrize("kind", ["f16", "bf16", "q8_0", "q4_0", "q4_1", "q5_0", "q5_1", "q4_k_m"])
def test_every_tensor_of_a_gguf_file_is_what_the_gguf_package_decodes(sample, kind):
    path = sample / "gguf" / f"sample-{kind}.gguf"
    reader = gguf.GGUFReader(path)
    with glassbox.open(path) as model:
        assert set(model) == {t.name for t in reader.tensors}
        for tensor in reader.tensors:
            expected = gguf.quants.dequantize(tensor.data, tensor.tensor_type).reshape(model[tensor.name].shape)
            np.testing.assert_allclose(model[tensor.name].numpy().astype(np.float32), expected, rtol=1e-6, atol=1e-7)
            assert model[tensor.name].raw() == tensor.data.tobytes()


def test_slices_are_those_of_numpy(sample):
    with glassbox.open(sample / "gguf" / "sample-q8_0.gguf") as model:
        tensor = model["token_embd.weight"]
        whole = tensor.numpy()
        for index in [0, -1, slice(3, 9), slice(None, None, 7), slice(9, 3), (slice(2, 5), slice(0, 4)), (4, slice(1, 3)), ..., [1, 5], slice(None, None, -1)]:
            np.testing.assert_array_equal(tensor[index], whole[index])
        np.testing.assert_array_equal(np.asarray(tensor), whole)
        assert len(tensor) == whole.shape[0]
        with pytest.raises(IndexError, match="row"):
            tensor[len(tensor)]
        statistics = tensor.statistics()
        assert statistics["count"] == whole.size
        assert statistics["mean"] == pytest.approx(float(whole.mean(dtype=np.float64)), rel=1e-6, abs=1e-9)


def test_numbers_keep_their_type(tmp_path):
    tensors = {
        "f64": np.array([1 / 3, -0.0, 1e300]), "i64": np.array([[2**62 + 1, -1]]), "u8": np.arange(5, dtype=np.uint8),
        "flag": np.array([True, False]), "f16": np.array([[0.1, 65504.0]], dtype=np.float16), "scalar": np.array(7, dtype=np.int32),
    }
    safetensors.numpy.save_file(tensors, tmp_path / "types.safetensors")
    with glassbox.open(tmp_path / "types.safetensors") as model:
        for name, expected in tensors.items():
            found = model[name].numpy()
            assert found.dtype == expected.dtype and model[name].dtype == expected.dtype
            np.testing.assert_array_equal(found, expected)


def test_metadata_arrays_and_bytes(sample):
    path = sample / "gguf" / "sample-q8_0.gguf"
    reader = gguf.GGUFReader(path)
    with glassbox.open(path) as model:
        tokens = model.array("tokenizer.ggml.tokens")
        field = reader.fields["tokenizer.ggml.tokens"]
        assert tokens == [bytes(field.parts[i]).decode() for i in field.data]
        assert model.array("tokenizer.ggml.tokens", 3, 5) == tokens[3:5]
        assert model.metadata["general.architecture"] == "llama"
        assert model.bytes(path.name, 0, 8) == path.read_bytes()[:8]


def test_a_fault_tells_the_file_and_the_byte(tmp_path):
    path = tmp_path / "cut.gguf"
    path.write_bytes(b"GGUF\x03\x00\x00\x00" + b"\xff" * 16)
    with pytest.raises(glassbox.Fault) as raised:
        glassbox.open(path)
    assert raised.value.file == "cut.gguf" and raised.value.what and raised.value.blame
    with pytest.raises(glassbox.Fault):
        glassbox.open(tmp_path / "no such file")


def test_a_closed_model_says_so(sample):
    model = glassbox.open(sample / "gguf" / "sample-q8_0.gguf")
    model.close()
    with pytest.raises(glassbox.Fault, match="closed"):
        model.check()


def test_many_threads_may_ask_one_model(sample):
    with glassbox.open(sample / "gguf" / "sample-q8_0.gguf") as model:
        whole = model["token_embd.weight"].numpy()
        wrong = []

        def ask(row):
            if not np.array_equal(model["token_embd.weight"][row], whole[row]):
                wrong.append(row)

        threads = [threading.Thread(target=ask, args=(row,)) for row in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert wrong == []


def test_two_models_are_compared(sample):
    same = glassbox.diff(sample / "hf", sample / "gguf" / "sample-f16.gguf", values=True, allow_rounding=True)
    other = glassbox.diff(sample / "gguf" / "sample-f16.gguf", sample / "gguf" / "sample-q4_0.gguf", values=True)
    assert other["differs"] is True and same["a"]["format"] == "safetensors"


def test_a_model_is_quantized_and_the_result_read_by_the_gguf_package(sample, tmp_path):
    out = tmp_path / "small.gguf"
    trial = glassbox.quantize(sample / "gguf" / "sample-f16.gguf", None, "Q8_0")
    assert trial["output"] is None and not out.exists()
    report = glassbox.quantize(sample / "gguf" / "sample-f16.gguf", out, "Q8_0", threads=1)
    assert report["bytes_after"] < report["bytes_before"]
    types = {t.tensor_type.name for t in gguf.GGUFReader(out).tensors}
    assert "Q8_0" in types
