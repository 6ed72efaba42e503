// NVRTC on a CPU: what is compiled is told to a function that load.py sets.
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

namespace {

// Compiles a text into a file. Writes the path of that file, or of one with messages; returns 0 for
// the first and 6, as NVRTC does, for the second.
using Compile = int (*)(const char* text, const char* options, char* path, std::size_t size);
Compile compile = nullptr;

struct Program {
  std::string text, log;
  std::vector<char> made;
};

enum Result { SUCCESS = 0, INVALID_INPUT = 3, COMPILATION = 6, UNSUPPORTED = 5 };

std::vector<char> content(const char* path) {
  std::vector<char> bytes;
  if (std::FILE* file = std::fopen(path, "rb")) {
    char some[1 << 16];
    for (std::size_t n; (n = std::fread(some, 1, sizeof some, file)) > 0;)
      bytes.insert(bytes.end(), some, some + n);
    std::fclose(file);
  }
  return bytes;
}

}  // namespace

extern "C" {

void nvrtc_on_cpu(Compile function) { compile = function; }

const char* nvrtcGetErrorString(Result result) {
  return result == COMPILATION ? "NVRTC_ERROR_COMPILATION" : "an error of the emulated NVRTC";
}

Result nvrtcVersion(int* major, int* minor) {
  *major = 12;
  *minor = 9;
  return SUCCESS;
}

Result nvrtcCreateProgram(Program** program, const char* text, const char*, int, const char* const*,
                          const char* const*) {
  *program = new Program{text, "", {}};
  return SUCCESS;
}

Result nvrtcDestroyProgram(Program** program) {
  delete *program;
  *program = nullptr;
  return SUCCESS;
}

Result nvrtcCompileProgram(Program* program, int count, const char* const* options) {
  std::string all;
  for (int n = 0; n < count; ++n) all += std::string(options[n]) + "\n";
  char path[4096] = "";
  const int result = compile(program->text.c_str(), all.c_str(), path, sizeof path);
  const std::vector<char> bytes = content(path);
  if (result != SUCCESS) {
    program->log.assign(bytes.begin(), bytes.end());
    return static_cast<Result>(result);
  }
  program->made = bytes;
  return SUCCESS;
}

Result nvrtcGetCUBINSize(Program* program, std::size_t* size) {
  *size = program->made.size();
  return SUCCESS;
}

Result nvrtcGetCUBIN(Program* program, char* bytes) {
  std::memcpy(bytes, program->made.data(), program->made.size());
  return SUCCESS;
}

// CuPy asks for the PTX of an empty program to learn the compiler's version.
Result nvrtcGetPTXSize(Program*, std::size_t* size) {
  *size = sizeof "// g++\n";
  return SUCCESS;
}

Result nvrtcGetPTX(Program*, char* text) {
  std::strcpy(text, "// g++\n");
  return SUCCESS;
}

Result nvrtcGetProgramLogSize(Program* program, std::size_t* size) {
  *size = program->log.size() + 1;
  return SUCCESS;
}

Result nvrtcGetProgramLog(Program* program, char* text) {
  std::strcpy(text, program->log.c_str());
  return SUCCESS;
}

Result nvrtcAddNameExpression(Program*, const char*) { return UNSUPPORTED; }

}  // extern "C"
