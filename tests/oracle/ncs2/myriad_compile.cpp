// Compiles OpenVINO IR to Myriad X blobs with the graph compiler of the Neural Compute Stick 2, without a stick.
//
//     myriad_compile MODEL.xml ...
//
// One line per file, fields separated by tabs: OK, the path, the blob's bytes; or FAIL, the path, the plugin's reason. The
// exit status is 1 when any file failed. The plugin is that of OpenVINO 2021.4.2, the last release that has it. Its headers
// are not in the wheel, so the few classes used are declared here: objects of some size whose members are elsewhere. The
// library has the C++ ABI of before 2011 (-D_GLIBCXX_USE_CXX11_ABI=0), and needs C++17 so that results are not copied.

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <map>
#include <string>

namespace InferenceEngine {

struct CNNNetwork {
    CNNNetwork(const CNNNetwork &) = delete;
    ~CNNNetwork() {} // never destroyed: the real destructor is not known here
    alignas(16) char bytes[1024];
};

struct ExecutableNetwork {
    ExecutableNetwork(const ExecutableNetwork &) = delete;
    ~ExecutableNetwork() {}
    void Export(std::ostream &);
    alignas(16) char bytes[1024];
};

struct Core {
    explicit Core(const std::string &plugins);
    CNNNetwork ReadNetwork(const std::string &xml, const std::string &bin) const;
    ExecutableNetwork LoadNetwork(const CNNNetwork &, const std::string &device,
                                  const std::map<std::string, std::string> &config);
    alignas(16) char bytes[1024];
};

} // namespace InferenceEngine

// The message in one line, from the source line in the plugin on.
static std::string one_line(std::string text) {
    for (char &c : text)
        if (c == '\n' || c == '\t') c = ' ';
    std::size_t at = text.find("/src/vpu/");
    return at == std::string::npos ? text : text.substr(at);
}

int main(int count, char **arguments) {
    // Without a stick the plugin has to be told which processor to compile for.
    const std::map<std::string, std::string> config{{"VPU_MYRIAD_PLATFORM", "VPU_MYRIAD_2480"}};
    auto &core = *new InferenceEngine::Core(std::string());
    int failed = 0;
    for (int i = 1; i < count; i++) {
        const std::string path = arguments[i];
        try {
            auto network = core.ReadNetwork(path, std::string());
            auto compiled = core.LoadNetwork(network, std::string("MYRIAD"), config);
            std::ofstream blob((path.substr(0, path.rfind('.')) + ".blob").c_str(), std::ios::binary);
            compiled.Export(blob);
            blob.flush();
            std::cout << "OK\t" << path << '\t' << blob.tellp() << std::endl;
        } catch (const std::exception &error) {
            std::cout << "FAIL\t" << path << '\t' << one_line(error.what()) << std::endl;
            failed = 1;
        }
    }
    std::cout.flush();
    std::_Exit(failed); // destructors are unknown
}
