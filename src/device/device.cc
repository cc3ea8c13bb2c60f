// The names and sizes of types and reductions.
#include "device/device.h"

namespace tutti {

size_t type_bytes(DataType type) {
  switch (type) {
    case DataType::kInt8:
    case DataType::kUint8:
    case DataType::kFloat8E4m3:
    case DataType::kFloat8E5m2: return 1;
    case DataType::kInt16:
    case DataType::kUint16:
    case DataType::kFloat16:
    case DataType::kBfloat16: return 2;
    case DataType::kInt32:
    case DataType::kUint32:
    case DataType::kFloat32: return 4;
    case DataType::kInt64:
    case DataType::kUint64:
    case DataType::kFloat64: return 8;
  }
  return 0;
}

const char* type_name(DataType type) {
  switch (type) {
    case DataType::kInt8: return "int8";
    case DataType::kInt16: return "int16";
    case DataType::kInt32: return "int32";
    case DataType::kInt64: return "int64";
    case DataType::kUint8: return "uint8";
    case DataType::kUint16: return "uint16";
    case DataType::kUint32: return "uint32";
    case DataType::kUint64: return "uint64";
    case DataType::kFloat16: return "float16";
    case DataType::kBfloat16: return "bfloat16";
    case DataType::kFloat32: return "float32";
    case DataType::kFloat64: return "float64";
    case DataType::kFloat8E4m3: return "float8_e4m3";
    case DataType::kFloat8E5m2: return "float8_e5m2";
  }
  return "unknown";
}

const char* reduction_name(Reduction op) {
  switch (op) {
    case Reduction::kSum: return "sum";
    case Reduction::kProd: return "prod";
    case Reduction::kMin: return "min";
    case Reduction::kMax: return "max";
  }
  return "unknown";
}

}  // namespace tutti
