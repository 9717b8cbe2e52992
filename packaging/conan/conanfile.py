# SPDX-License-Identifier: MIT
"""binllm from this tree, for Conan 2. What it is built on comes from the system's package manager: Conan Center's
recipes are asked for nothing. The package brings its own CMake files, so a user writes the same find_package(binllm)
as with an installed copy."""
import os
import re

from conan import ConanFile
from conan.tools.build import check_min_cppstd
from conan.tools.cmake import CMake, CMakeToolchain, cmake_layout
from conan.tools.files import copy, load
from conan.tools.system.package_manager import Apt


class Binllm(ConanFile):
    name = "binllm"
    description = "One-bit large language models in C++20"
    license = "MIT"
    topics = ("machine-learning", "language-models", "quantization", "header-only")
    settings = "os", "arch", "compiler", "build_type"
    # components: binllm::io and the other static libraries, and the program; False: the headers alone
    options = {"components": [True, False]}
    default_options = {"components": True}

    def set_version(self):
        header = load(self, os.path.join(self.recipe_folder, "../../include/binllm/version.hpp"))
        self.version = re.search(r'version = "([0-9.]+)"', header).group(1)

    def export_sources(self):
        root = os.path.join(self.recipe_folder, "../..")
        for pattern in "CMakeLists.txt", "LICENSE", "cmake/*", "include/*", "examples/*":
            copy(self, pattern, root, self.export_sources_folder)

    def layout(self):
        cmake_layout(self)

    def validate(self):
        check_min_cppstd(self, 20)

    def system_requirements(self):
        packages = ["libeigen3-dev", "libfmt-dev"]
        if self.options.components:
            packages += ["nlohmann-json3-dev", "libsentencepiece-dev", "libpcre2-dev", "libutf8proc-dev", "libzstd-dev",
                         "libcli11-dev"]
        Apt(self).install(packages)

    def package_id(self):
        if not self.info.options.components:
            self.info.clear()

    def generate(self):
        toolchain = CMakeToolchain(self)
        for part in "TESTS", "EXAMPLES", "BENCHMARKS":
            toolchain.cache_variables[f"BINLLM_BUILD_{part}"] = False
        for part in "COMPONENTS", "BUILD_PROGRAM":
            toolchain.cache_variables[f"BINLLM_{part}"] = bool(self.options.components)
        for switch in "NATIVE", "STRICT":
            toolchain.cache_variables[f"BINLLM_{switch}"] = False
        for library in "BLAS", "CUDA":
            toolchain.cache_variables[f"BINLLM_{library}"] = "OFF"
        toolchain.generate()

    def build(self):
        cmake = CMake(self)
        cmake.configure()
        cmake.build()

    def package(self):
        CMake(self).install()

    def package_info(self):
        self.cpp_info.set_property("cmake_find_mode", "none")  # the package's own binllm-config.cmake is found instead
        self.cpp_info.builddirs = ["lib/cmake/binllm"]
        self.cpp_info.includedirs = ["include"]
        self.cpp_info.libdirs = []
        self.runenv_info.append_path("PATH", os.path.join(self.package_folder, "bin"))
