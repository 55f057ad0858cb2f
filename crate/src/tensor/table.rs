//! THE table: one row for each encoding with a fixed block size, in the order of [`Encoding`].

use super::quant::{Words, words};
use super::{Decode, Encode, Encoding, EncodingSpec, plain, quant::*};

/// A row without numbers and codecs; the methods below add them.
const fn row(
    encoding: Encoding,
    name: &'static str,
    (block_len, block_bytes): (u32, u32),
    words: &'static [Words],
    about: &'static str,
) -> EncodingSpec {
    let (decode, encode) = (None, None);
    let (ggml, safetensors, onnx) = (None, None, None);
    EncodingSpec { encoding, name, ggml, safetensors, onnx, block_len, block_bytes, words, decode, encode, about }
}

impl EncodingSpec {
    const fn ggml(mut self, id: u32) -> Self {
        self.ggml = Some(id);
        self
    }
    const fn safetensors(mut self, name: &'static str) -> Self {
        self.safetensors = Some(name);
        self
    }
    const fn onnx(mut self, id: i32, name: &'static str) -> Self {
        self.onnx = Some((id, name));
        self
    }
    const fn decode(mut self, decode: Decode) -> Self {
        self.decode = Some(decode);
        self
    }
    const fn encode(mut self, encode: Encode) -> Self {
        self.encode = Some(encode);
        self
    }
}

/// Row by row: elements and bytes of a block, words in it; then who knows it, then what turns it into floats and back.
pub(super) const ROWS: [EncodingSpec; 74] = [
    row(Encoding::F64, "F64", (1, 8), &[words(0, 8, 1)], "IEEE double: 1 sign, 11 exponent and 52 fraction bits")
        .ggml(28)
        .safetensors("F64")
        .onnx(11, "DOUBLE")
        .decode(plain::f64),
    row(Encoding::F32, "F32", (1, 4), &[words(0, 4, 1)], "IEEE single: 1 sign, 8 exponent and 23 fraction bits")
        .ggml(0)
        .safetensors("F32")
        .onnx(1, "FLOAT")
        .decode(plain::f32)
        .encode(plain::to_f32),
    row(
        Encoding::F16,
        "F16",
        (1, 2),
        &[words(0, 2, 1)],
        "IEEE half: 1 sign, 5 exponent and 10 fraction bits; largest 65,504",
    )
    .ggml(1)
    .safetensors("F16")
    .onnx(10, "FLOAT16")
    .decode(plain::f16)
    .encode(plain::to_f16),
    row(Encoding::BF16, "BF16", (1, 2), &[words(0, 2, 1)], "the upper half of an F32: its range, 7 fraction bits")
        .ggml(30)
        .safetensors("BF16")
        .onnx(16, "BFLOAT16")
        .decode(plain::bf16)
        .encode(plain::to_bf16),
    row(
        Encoding::F8_E4M3,
        "F8_E4M3",
        (1, 1),
        &[],
        "8-bit float: 4 exponent and 3 fraction bits; largest 448, no infinity",
    )
    .safetensors("F8_E4M3")
    .onnx(17, "FLOAT8E4M3FN")
    .decode(plain::e4m3),
    row(Encoding::F8_E5M2, "F8_E5M2", (1, 1), &[], "8-bit float: 5 exponent and 2 fraction bits; largest 57,344")
        .safetensors("F8_E5M2")
        .onnx(19, "FLOAT8E5M2")
        .decode(plain::e5m2),
    row(
        Encoding::F8_E8M0,
        "F8_E8M0",
        (1, 1),
        &[],
        "a power of two from 2^-127 to 2^127: the scale of microscaling formats",
    )
    .safetensors("F8_E8M0")
    .onnx(24, "FLOAT8E8M0")
    .decode(plain::e8m0),
    row(
        Encoding::F8_E4M3FNUZ,
        "F8_E4M3FNUZ",
        (1, 1),
        &[],
        "8-bit float: 4 exponent and 3 fraction bits; largest 240, no infinity, no minus zero",
    )
    .safetensors("F8_E4M3FNUZ")
    .onnx(18, "FLOAT8E4M3FNUZ")
    .decode(plain::e4m3fnuz),
    row(
        Encoding::F8_E5M2FNUZ,
        "F8_E5M2FNUZ",
        (1, 1),
        &[],
        "8-bit float: 5 exponent and 2 fraction bits; no infinity, no minus zero",
    )
    .safetensors("F8_E5M2FNUZ")
    .onnx(20, "FLOAT8E5M2FNUZ")
    .decode(plain::e5m2fnuz),
    row(
        Encoding::F6_E2M3,
        "F6_E2M3",
        (4, 3),
        &[],
        "6-bit float: 2 exponent and 3 fraction bits; largest 7.5; four packed in 3 bytes",
    )
    .safetensors("F6_E2M3")
    .decode(plain::e2m3),
    row(
        Encoding::F6_E3M2,
        "F6_E3M2",
        (4, 3),
        &[],
        "6-bit float: 3 exponent and 2 fraction bits; largest 28; four packed in 3 bytes",
    )
    .safetensors("F6_E3M2")
    .decode(plain::e3m2),
    row(Encoding::F4, "F4", (2, 1), &[], "4-bit float: 0, 0.5, 1, 1.5, 2, 3, 4, 6 and negatives; two packed in a byte")
        .safetensors("F4")
        .onnx(23, "FLOAT4E2M1")
        .decode(plain::e2m1),
    row(Encoding::I64, "I64", (1, 8), &[words(0, 8, 1)], "whole numbers of 64 bits, signed")
        .ggml(27)
        .safetensors("I64")
        .onnx(7, "INT64")
        .decode(plain::i64),
    row(Encoding::I32, "I32", (1, 4), &[words(0, 4, 1)], "whole numbers of 32 bits, signed")
        .ggml(26)
        .safetensors("I32")
        .onnx(6, "INT32")
        .decode(plain::i32),
    row(Encoding::I16, "I16", (1, 2), &[words(0, 2, 1)], "whole numbers of 16 bits, signed")
        .ggml(25)
        .safetensors("I16")
        .onnx(5, "INT16")
        .decode(plain::i16),
    row(Encoding::I8, "I8", (1, 1), &[], "whole numbers of 8 bits, signed")
        .ggml(24)
        .safetensors("I8")
        .onnx(3, "INT8")
        .decode(plain::i8),
    row(Encoding::I4, "I4", (2, 1), &[], "whole numbers from -8 to 7; two packed in a byte")
        .onnx(22, "INT4")
        .decode(plain::i4),
    row(Encoding::I2, "I2", (4, 1), &[], "whole numbers from -2 to 1; four packed in a byte")
        .onnx(26, "INT2")
        .decode(plain::i2),
    row(Encoding::U64, "U64", (1, 8), &[words(0, 8, 1)], "whole numbers of 64 bits, unsigned")
        .safetensors("U64")
        .onnx(13, "UINT64")
        .decode(plain::u64),
    row(Encoding::U32, "U32", (1, 4), &[words(0, 4, 1)], "whole numbers of 32 bits, unsigned")
        .safetensors("U32")
        .onnx(12, "UINT32")
        .decode(plain::u32),
    row(Encoding::U16, "U16", (1, 2), &[words(0, 2, 1)], "whole numbers of 16 bits, unsigned")
        .safetensors("U16")
        .onnx(4, "UINT16")
        .decode(plain::u16),
    row(Encoding::U8, "U8", (1, 1), &[], "whole numbers of 8 bits, unsigned")
        .safetensors("U8")
        .onnx(2, "UINT8")
        .decode(plain::u8),
    row(Encoding::U4, "U4", (2, 1), &[], "whole numbers from 0 to 15; two packed in a byte")
        .onnx(21, "UINT4")
        .decode(plain::u4),
    row(Encoding::U2, "U2", (4, 1), &[], "whole numbers from 0 to 3; four packed in a byte")
        .onnx(25, "UINT2")
        .decode(plain::u2),
    row(Encoding::Bool, "BOOL", (1, 1), &[], "true or false, a byte each")
        .safetensors("BOOL")
        .onnx(9, "BOOL")
        .decode(plain::bool),
    row(Encoding::C64, "C64", (1, 8), &[words(0, 4, 2)], "complex numbers: two F32, real part first")
        .safetensors("C64")
        .onnx(14, "COMPLEX64")
        .decode(plain::c64),
    row(Encoding::C128, "C128", (1, 16), &[words(0, 8, 2)], "complex numbers: two F64, real part first")
        .onnx(15, "COMPLEX128")
        .decode(plain::c128),
    row(Encoding::Q4_0, "Q4_0", (32, 18), q4_0::WORDS, "32 weights share one f16 scale; 4 bits each")
        .ggml(2)
        .decode(q4_0::decode)
        .encode(q4_0::encode),
    row(
        Encoding::Q4_1,
        "Q4_1",
        (32, 20),
        q4_1::WORDS,
        "32 weights share one f16 scale and one f16 minimum; 4 bits each",
    )
    .ggml(3)
    .decode(q4_1::decode)
    .encode(q4_1::encode),
    row(Encoding::Q5_0, "Q5_0", (32, 22), q5_0::WORDS, "32 weights share one f16 scale; 5 bits each")
        .ggml(6)
        .decode(q5_0::decode)
        .encode(q5_0::encode),
    row(
        Encoding::Q5_1,
        "Q5_1",
        (32, 24),
        q5_1::WORDS,
        "32 weights share one f16 scale and one f16 minimum; 5 bits each",
    )
    .ggml(7)
    .decode(q5_1::decode)
    .encode(q5_1::encode),
    row(Encoding::Q8_0, "Q8_0", (32, 34), q8_0::WORDS, "32 weights share one f16 scale; 8 bits each")
        .ggml(8)
        .decode(q8_0::decode)
        .encode(q8_0::encode),
    row(
        Encoding::Q8_1,
        "Q8_1",
        (32, 36),
        q8_1::WORDS,
        "32 values share one f16 scale, with their sum beside it; 8 bits each; made for activations",
    )
    .ggml(9)
    .decode(q8_1::decode),
    row(
        Encoding::Q2_K,
        "Q2_K",
        (256, 84),
        q2_k::WORDS,
        "256 weights: groups of 16 with a 4-bit scale and minimum each, under two f16 scales; 2 bits each",
    )
    .ggml(10)
    .decode(q2_k::decode)
    .encode(q2_k::encode),
    row(
        Encoding::Q3_K,
        "Q3_K",
        (256, 110),
        q3_k::WORDS,
        "256 weights: groups of 16 with a 6-bit scale each, under one f16 scale; 3 bits each",
    )
    .ggml(11)
    .decode(q3_k::decode)
    .encode(q3_k::encode),
    row(
        Encoding::Q4_K,
        "Q4_K",
        (256, 144),
        q4_k::WORDS,
        "256 weights: groups of 32 with a 6-bit scale and minimum each, under two f16 scales; 4 bits each",
    )
    .ggml(12)
    .decode(q4_k::decode)
    .encode(q4_k::encode),
    row(
        Encoding::Q5_K,
        "Q5_K",
        (256, 176),
        q5_k::WORDS,
        "256 weights: groups of 32 with a 6-bit scale and minimum each, under two f16 scales; 5 bits each",
    )
    .ggml(13)
    .decode(q5_k::decode)
    .encode(q5_k::encode),
    row(
        Encoding::Q6_K,
        "Q6_K",
        (256, 210),
        q6_k::WORDS,
        "256 weights: groups of 16 with an 8-bit scale each, under one f16 scale; 6 bits each",
    )
    .ggml(14)
    .decode(q6_k::decode)
    .encode(q6_k::encode),
    row(
        Encoding::Q8_K,
        "Q8_K",
        (256, 292),
        q8_k::WORDS,
        "256 values share one f32 scale, with sums of 16 beside them; 8 bits each; made for activations",
    )
    .ggml(15)
    .decode(q8_k::decode),
    row(
        Encoding::IQ1_S,
        "IQ1_S",
        (256, 50),
        iq1_s::WORDS,
        "256 weights: 8 at a time are one of 2,048 points of -1, 0 and 1; groups of 32 with a 3-bit scale",
    )
    .ggml(19)
    .decode(iq1_s::decode),
    row(
        Encoding::IQ1_M,
        "IQ1_M",
        (256, 56),
        iq1_m::WORDS,
        "256 weights: 8 at a time are one of 2,048 points of -1, 0 and 1; groups of 16 with a 3-bit scale",
    )
    .ggml(29)
    .decode(iq1_m::decode),
    row(
        Encoding::IQ2_XXS,
        "IQ2_XXS",
        (256, 66),
        iq2_xxs::WORDS,
        "256 weights: 8 at a time are one of 256 points with signs; groups of 32 with a 4-bit scale",
    )
    .ggml(16)
    .decode(iq2_xxs::decode),
    row(
        Encoding::IQ2_XS,
        "IQ2_XS",
        (256, 74),
        iq2_xs::WORDS,
        "256 weights: 8 at a time are one of 512 points with signs; groups of 16 with a 4-bit scale",
    )
    .ggml(17)
    .decode(iq2_xs::decode),
    row(
        Encoding::IQ2_S,
        "IQ2_S",
        (256, 82),
        iq2_s::WORDS,
        "256 weights: 8 at a time are one of 1,024 points with signs; groups of 16 with a 4-bit scale",
    )
    .ggml(22)
    .decode(iq2_s::decode),
    row(
        Encoding::IQ3_XXS,
        "IQ3_XXS",
        (256, 98),
        iq3_xxs::WORDS,
        "256 weights: 4 at a time are one of 256 points with signs; groups of 32 with a 4-bit scale",
    )
    .ggml(18)
    .decode(iq3_xxs::decode),
    row(
        Encoding::IQ3_S,
        "IQ3_S",
        (256, 110),
        iq3_s::WORDS,
        "256 weights: 4 at a time are one of 512 points with signs; groups of 32 with a 4-bit scale",
    )
    .ggml(21)
    .decode(iq3_s::decode),
    row(
        Encoding::IQ4_NL,
        "IQ4_NL",
        (32, 18),
        iq4_nl::WORDS,
        "32 weights share one f16 scale; 4 bits each choose among 16 unequal levels",
    )
    .ggml(20)
    .decode(iq4_nl::decode)
    .encode(iq4_nl::encode),
    row(
        Encoding::IQ4_XS,
        "IQ4_XS",
        (256, 136),
        iq4_xs::WORDS,
        "256 weights: groups of 32 with a 6-bit scale each; 4 bits each choose among 16 unequal levels",
    )
    .ggml(23)
    .decode(iq4_xs::decode),
    row(
        Encoding::TQ1_0,
        "TQ1_0",
        (256, 54),
        tq1_0::WORDS,
        "256 weights of -1, 0 or 1 share one f16 scale; five in a byte",
    )
    .ggml(34)
    .decode(tq1_0::decode),
    row(
        Encoding::TQ2_0,
        "TQ2_0",
        (256, 66),
        tq2_0::WORDS,
        "256 weights of -1, 0 or 1 share one f16 scale; 2 bits each",
    )
    .ggml(35)
    .decode(tq2_0::decode),
    row(Encoding::MXFP4, "MXFP4", (32, 17), mxfp4::WORDS, "32 weights share one power of two; each is a 4-bit float")
        .ggml(39)
        .decode(mxfp4::decode),
    row(
        Encoding::NVFP4,
        "NVFP4",
        (64, 36),
        nvfp4::WORDS,
        "64 weights: groups of 16 with an 8-bit float scale; each is a 4-bit float",
    )
    .ggml(40)
    .decode(nvfp4::decode),
    row(Encoding::Q1_0, "Q1_0", (128, 18), q1_0::WORDS, "128 weights share one f16 scale; a sign bit each")
        .ggml(41)
        .decode(q1_0::decode),
    row(Encoding::Q2_0, "Q2_0", (64, 18), q2_0::WORDS, "64 weights of -1, 0, 1 or 2 share one f16 scale; 2 bits each")
        .ggml(42)
        .decode(q2_0::decode),
    row(
        Encoding::Q4_0_4_4,
        "Q4_0_4_4",
        (32, 18),
        &[],
        "Q4_0 with rows woven together for one kind of CPU; removed from ggml, listed only",
    )
    .ggml(31),
    row(
        Encoding::Q4_0_4_8,
        "Q4_0_4_8",
        (32, 18),
        &[],
        "Q4_0 with rows woven together for one kind of CPU; removed from ggml, listed only",
    )
    .ggml(32),
    row(
        Encoding::Q4_0_8_8,
        "Q4_0_8_8",
        (32, 18),
        &[],
        "Q4_0 with rows woven together for one kind of CPU; removed from ggml, listed only",
    )
    .ggml(33),
    row(
        Encoding::IQ4_NL_4_8,
        "IQ4_NL_4_8",
        (32, 18),
        &[],
        "IQ4_NL with rows woven together for one kind of CPU; removed from ggml, listed only",
    )
    .ggml(37),
    row(
        Encoding::IQ4_NL_8_8,
        "IQ4_NL_8_8",
        (32, 18),
        &[],
        "IQ4_NL with rows woven together for one kind of CPU; removed from ggml, listed only",
    )
    .ggml(38),
    row(Encoding::Q6_0, "Q6_0", (32, 26), &[], "32 weights of 6 bits; known to ik_llama.cpp only, listed only")
        .ggml(133),
    row(Encoding::IQ2_K, "IQ2_K", (256, 76), &[], "256 weights of 2 bits; known to ik_llama.cpp only, listed only")
        .ggml(137),
    row(Encoding::IQ3_K, "IQ3_K", (256, 110), &[], "256 weights of 3 bits; known to ik_llama.cpp only, listed only")
        .ggml(138),
    row(Encoding::IQ4_K, "IQ4_K", (256, 144), &[], "256 weights of 4 bits; known to ik_llama.cpp only, listed only")
        .ggml(139),
    row(Encoding::IQ5_K, "IQ5_K", (256, 176), &[], "256 weights of 5 bits; known to ik_llama.cpp only, listed only")
        .ggml(140),
    row(Encoding::IQ6_K, "IQ6_K", (256, 212), &[], "256 weights of 6 bits; known to ik_llama.cpp only, listed only")
        .ggml(141),
    row(
        Encoding::Q4_0_V1,
        "Q4_0 (2023-03)",
        (32, 20),
        first::ONE_F32,
        "32 weights share one f32 scale; 4 bits each, neighbours in a byte",
    )
    .decode(first::q4_0_v1),
    row(
        Encoding::Q4_1_V1,
        "Q4_1 (2023-03)",
        (32, 24),
        first::TWO_F32,
        "32 weights share one f32 scale and minimum; 4 bits each, neighbours in a byte",
    )
    .decode(first::q4_1_v1),
    row(
        Encoding::Q4_2,
        "Q4_2 (2023-04)",
        (16, 10),
        first::ONE_F16,
        "16 weights share one f16 scale; 4 bits each; removed from ggml in May 2023",
    )
    .decode(first::q4_2),
    row(
        Encoding::Q4_3,
        "Q4_3 (2023-04)",
        (16, 12),
        first::TWO_F16,
        "16 weights share one f16 scale and minimum; 4 bits each; removed from ggml in May 2023",
    )
    .decode(first::q4_3),
    row(
        Encoding::Q5_0_V1,
        "Q5_0 (2023-04)",
        (32, 22),
        first::ONE_F16,
        "32 weights share one f16 scale; 5 bits each, neighbours in a byte",
    )
    .decode(first::q5_0_v1),
    row(
        Encoding::Q5_1_V1,
        "Q5_1 (2023-04)",
        (32, 24),
        first::TWO_F16,
        "32 weights share one f16 scale and minimum; 5 bits each, neighbours in a byte",
    )
    .decode(first::q5_1_v1),
    row(Encoding::Q4_0_V2, "Q4_0 (2023-05)", (32, 20), first::ONE_F32, "32 weights share one f32 scale; 4 bits each")
        .decode(first::q4_0_v2),
    row(
        Encoding::Q4_1_V2,
        "Q4_1 (2023-05)",
        (32, 24),
        first::TWO_F32,
        "32 weights share one f32 scale and minimum; 4 bits each",
    )
    .decode(first::q4_1_v2),
    row(Encoding::Q8_0_V2, "Q8_0 (2023-04)", (32, 36), first::ONE_F32, "32 weights share one f32 scale; 8 bits each")
        .decode(first::q8_0_v2),
];
