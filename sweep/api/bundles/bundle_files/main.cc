// Runs the network of this folder in C++: compares its output with the expected one, and times it.
// network.h has names, shapes and files; CMakeLists.txt says how to build it against the wheel of apache-tvm.
#include <tvm/ffi/container/array.h>
#include <tvm/ffi/container/tensor.h>
#include <tvm/ffi/extra/module.h>
#include <tvm/ffi/function.h>

#include <algorithm>
#include <chrono>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iterator>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "network.h"

namespace ffi = tvm::ffi;

// Memory for inputs, as aligned as vector code wants it.
struct Aligned {
  void AllocData(DLTensor* tensor) {
    tensor->data = std::aligned_alloc(64, (ffi::GetDataSize(*tensor) + 63) / 64 * 64);
  }
  void FreeData(DLTensor* tensor) { std::free(tensor->data); }
};

static int Refuse(const std::string& reason) {
  std::fprintf(stderr, "main: %s\n", reason.c_str());
  return 2;
}

// What the code needs and this CPU lacks: it would die of an illegal instruction. Nothing where Linux does not say.
static std::string MissingFeatures() {
  std::ifstream file("/proc/cpuinfo");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("flags", 0) != 0 && line.rfind("Features", 0) != 0) continue;
    std::istringstream words(line.substr(line.find(':') + 1));
    std::set<std::string> flags{std::istream_iterator<std::string>(words), {}};
    std::string missing;
    for (const Feature& feature : kFeatures) {
      if (!flags.count(feature.flag)) missing += (missing.empty() ? "" : ", ") + std::string(feature.name);
    }
    return missing;
  }
  return "";
}

static std::vector<char> Read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

static double HalfToDouble(uint16_t bits) {
  int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  double value = exponent == 0 ? std::ldexp(fraction, -24)
                 : exponent == 31 ? (fraction ? NAN : INFINITY)
                                  : std::ldexp(fraction + 1024, exponent - 25);
  return bits & 0x8000 ? -value : value;
}

static bool IsHalf(DLDataType type) { return type.code == kDLFloat && type.bits == 16; }

static double At(const void* data, DLDataType type, size_t i) {
  if (type.code == kDLFloat && type.bits == 64) return static_cast<const double*>(data)[i];
  if (type.code == kDLFloat && type.bits == 32) return static_cast<const float*>(data)[i];
  if (IsHalf(type)) return HalfToDouble(static_cast<const uint16_t*>(data)[i]);
  if (type.code == kDLInt && type.bits == 64) return static_cast<double>(static_cast<const int64_t*>(data)[i]);
  if (type.code == kDLInt && type.bits == 32) return static_cast<const int32_t*>(data)[i];
  if (type.code == kDLInt && type.bits == 8) return static_cast<const int8_t*>(data)[i];
  if (type.bits == 8) return static_cast<const uint8_t*>(data)[i];  // unsigned, and bool
  throw std::runtime_error("an output of a type that this example does not print");
}

static void Flatten(const ffi::Any& value, std::vector<ffi::Tensor>* out) {
  if (auto tensor = value.as<ffi::Tensor>()) {
    out->push_back(*tensor);
  } else {
    for (const ffi::Any& field : value.cast<ffi::Array<ffi::Any>>()) Flatten(field, out);
  }
}

static int Run(const std::string& folder) {
  setenv("TVM_NUM_THREADS", kThreads, 0);  // read when the runtime begins its first parallel loop
  ffi::Module library = ffi::Module::LoadFromFile(folder + kLibrary);
  ffi::Module machine = library->GetFunction("vm_load_executable").value()().cast<ffi::Module>();
  // On the CPU, with memory that is kept between calls
  machine->GetFunction("vm_initialization").value()(static_cast<int>(kDLCPU), 0, 2);
  ffi::Function network = machine->GetFunction(kEntry).value();

  std::vector<ffi::AnyView> arguments;
  std::vector<ffi::Tensor> inputs;
  for (const Input& input : kInputs) {
    ffi::Tensor tensor = ffi::Tensor::FromNDAlloc(Aligned(), ffi::Shape(input.shape), input.type, DLDevice{kDLCPU, 0});
    std::vector<char> content = Read(folder + input.file);
    if (content.size() != ffi::GetDataSize(tensor)) return Refuse(std::string(input.file) + " is damaged");
    std::memcpy(tensor.data_ptr(), content.data(), content.size());
    inputs.push_back(tensor);
  }
  for (const ffi::Tensor& tensor : inputs) arguments.emplace_back(tensor);
  auto call = [&] {
    ffi::Any result;
    network.CallPacked(arguments.data(), static_cast<int32_t>(arguments.size()), &result);
    return result;
  };

  std::vector<ffi::Tensor> outputs;
  Flatten(call(), &outputs);
  bool agrees = true;
  double worst = 0;
  for (size_t n = 0; n < outputs.size(); ++n) {
    const void* data = outputs[n].data_ptr();
    DLDataType type = outputs[n].dtype();
    size_t size = outputs[n].numel();
    std::printf("output %zu:", n);
    for (size_t i = 0; i < std::min<size_t>(size, 5); ++i) std::printf(" %.6g", At(data, type, i));
    std::printf("%s\n", size > 5 ? " ..." : "");
    if (!kHasExpected) continue;
    std::vector<char> expected = Read(folder + kExpected[n].file);
    if (expected.size() != size * ((kExpected[n].type.bits + 7) / 8)) return Refuse("an expected output is damaged");
    // As sweep compares: floats by the tolerance, integers exactly or within a step, NaN and infinities where expected
    double largest = 0, length = 0, distance = 0;
    bool is_float = kExpected[n].type.code == kDLFloat;
    bool is_half = IsHalf(type) || IsHalf(kExpected[n].type);  // has no more digits, whichever of the two it is
    double tolerance = std::max({kTolerance, is_half ? 10 / 1024.0 : 0.0, kExpected[n].tolerance});
    size_t few = 0;  // values that were rounded the other way deep inside
    double step = kExpected[n].step;
    for (size_t i = 0; i < size; ++i) {
      double wanted = At(expected.data(), kExpected[n].type, i);
      if (std::isfinite(wanted)) largest = std::max(largest, std::fabs(wanted)), length += wanted * wanted;
    }
    double allowed = is_float ? tolerance * (largest + 1e-3) : 0;
    for (size_t i = 0; i < size; ++i) {
      double given = At(data, type, i), wanted = At(expected.data(), kExpected[n].type, i);
      if (given == wanted || (std::isnan(given) && std::isnan(wanted))) continue;
      bool is_finite = std::isfinite(given) && std::isfinite(wanted);
      double apart = is_finite ? std::fabs(given - wanted) : INFINITY;
      worst = std::max(worst, apart);
      double beyond = std::max(apart - step, 0.0);
      if (step > 0 && beyond > allowed && apart <= 4 * step + allowed) ++few, beyond = 0;
      distance += beyond * beyond;
      agrees = agrees && is_finite && (kTolerance < 0 || beyond <= allowed);
    }
    agrees = agrees && (kTolerance < 0 || few <= 0.01 * size);
    if (is_float && kTolerance >= 0) {
      agrees = agrees && std::sqrt(distance) <= tolerance * (std::sqrt(length) + 1e-3 * std::sqrt(double(size)));
    }
  }

  using Clock = std::chrono::steady_clock;
  std::vector<double> times_ms;
  for (int repeat = 0, calls = 1; repeat < 10;) {
    auto begin = Clock::now();
    for (int i = 0; i < calls; ++i) call();
    double total_ms = std::chrono::duration<double, std::milli>(Clock::now() - begin).count();
    if (total_ms < 100 && calls < (1 << 28)) {
      calls = std::max(calls + 1, static_cast<int>(calls * std::min(16.0, 120 / std::max(total_ms, 1e-3))));
    } else {
      times_ms.push_back(total_ms / calls);
      ++repeat;
    }
  }
  std::sort(times_ms.begin(), times_ms.end());
  double median_ms = (times_ms[4] + times_ms[5]) / 2;
  if (!kHasExpected) {
    std::printf("output not compared");
  } else if (agrees) {
    std::printf("output agrees");
  } else {
    std::printf("output DIFFERS by up to %.3g", worst);
  }
  std::printf(", %.4g ms%s\nmeasured before: %s\n", median_ms, kNewProcess, kMeasured);
  return agrees ? 0 : 1;
}

int main(int argc, char** argv) {
  std::string missing = MissingFeatures();
  if (!missing.empty()) return Refuse("this CPU lacks " + missing + ", which the library needs");
  try {
    return Run(argc > 1 ? std::string(argv[1]) + "/" : "./");
  } catch (const std::exception& error) {
    return Refuse(error.what());
  }
}
