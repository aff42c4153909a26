// Runs @NAME@ with OpenVINO on one or more devices and measures them.
//
//     run [--model FILE.xml] [--devices CPU,MYRIAD] [--requests N] [--frames N] [--json FILE] [--csv FILE] [--help]
//
// --devices may be given several times; in MULTI:A,B the comma is MULTI's own.
// MYRIAD stands for all Neural Compute Sticks: each alone, then all together through MULTI; without --devices all sticks there
// are, else the CPU. Sticks need OpenVINO 2022.1 to 2022.3 with the MYRIAD plugin. Several requests are in flight all the time.
// A device that fails has a row that says why, the others are measured all the same, and the exit code is 1. run.py beside this
// example draws the table too.

#include <algorithm>
#include <chrono>
#include <cmath>
#include <condition_variable>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <fstream>
#include <iostream>
#include <mutex>
#include <openvino/openvino.hpp>
#include <queue>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

using Clock = std::chrono::steady_clock;

struct Options {
    std::string model = "../@NAME@.xml", json, csv;
    std::vector<std::string> devices;
    std::size_t requests = 0, frames = 200;
};

struct Row {
    std::string device;
    std::size_t requests = 0, frames = 0;
    double median = 0, p95 = 0, fps = 0, difference = 0;
    std::string error; // why it did not run
};

static double milliseconds(Clock::duration time) {
    return std::chrono::duration<double, std::milli>(time).count();
}

static std::vector<std::string> split(const std::string &text, char separator) {
    std::vector<std::string> parts;
    std::stringstream stream(text);
    for (std::string part; std::getline(stream, part, separator);) parts.push_back(part);
    return parts;
}

// MYRIAD becomes each stick there is and then all of them.
static std::vector<std::string> expand(const std::vector<std::string> &wanted, const std::vector<std::string> &available) {
    std::vector<std::string> devices;
    for (const auto &device : wanted) {
        std::string all;
        std::size_t sticks = 0;
        for (const auto &name : available) {
            if (device != "MYRIAD" || name.rfind("MYRIAD", 0) != 0) continue;
            devices.push_back(name);
            all += (sticks++ == 0 ? "MULTI:" : ",") + name;
        }
        if (sticks == 0) devices.push_back(device);
        if (sticks > 1) devices.push_back(all);
    }
    return devices;
}

// Random real numbers in 0..1; bytes and integers: 0 or 1.
static void fill(ov::Tensor tensor, std::mt19937 &generator) {
    if (tensor.get_element_type() == ov::element::f32) {
        std::uniform_real_distribution<float> numbers(0.0f, 1.0f);
        std::generate_n(tensor.data<float>(), tensor.get_size(), [&] { return numbers(generator); });
    } else if (tensor.get_element_type() == ov::element::f16) {
        std::uniform_real_distribution<float> numbers(0.0f, 1.0f);
        auto *data = tensor.data<ov::float16>();
        std::generate_n(data, tensor.get_size(), [&] { return ov::float16(numbers(generator)); });
    } else {
        std::memset(tensor.data(), 0, tensor.get_byte_size());
    }
}

static std::vector<double> numbers(const ov::Tensor &tensor) {
    std::vector<double> values(tensor.get_size());
    for (std::size_t i = 0; i < values.size(); i++) {
        if (tensor.get_element_type() == ov::element::f32) values[i] = tensor.data<float>()[i];
        else if (tensor.get_element_type() == ov::element::f16) values[i] = tensor.data<ov::float16>()[i];
        else if (tensor.get_element_type() == ov::element::i32) values[i] = tensor.data<int32_t>()[i];
        else if (tensor.get_element_type() == ov::element::boolean) values[i] = tensor.data<bool>()[i];
        else if (tensor.get_element_type() == ov::element::u8) values[i] = tensor.data<uint8_t>()[i];
        else if (tensor.get_element_type() == ov::element::i64) values[i] = static_cast<double>(tensor.data<int64_t>()[i]);
    }
    return values;
}

// Largest absolute difference relative to the largest reference value.
static double difference(const std::vector<std::vector<double>> &got, const std::vector<std::vector<double>> &want) {
    double worst = 0;
    for (std::size_t i = 0; i < got.size(); i++) {
        double apart = 0, largest = 1e-30;
        for (std::size_t j = 0; j < got[i].size(); j++) {
            apart = std::max(apart, std::fabs(got[i][j] - want[i][j]));
            largest = std::max(largest, std::fabs(want[i][j]));
        }
        worst = std::max(worst, apart / largest);
    }
    return worst;
}

static Row measure(ov::Core &core, const std::shared_ptr<ov::Model> &model, const std::string &device, const Options &options,
                   std::vector<std::vector<double>> &reference) {
    if (device == "MYRIAD") throw std::runtime_error("there is no stick");
    auto compiled = core.compile_model(model, device);
    const auto members = static_cast<std::size_t>(std::count(device.begin(), device.end(), ','));
    const std::size_t sticks = device.rfind("MULTI:", 0) == 0 ? members + 1 : 1;
    const std::size_t count = options.requests ? options.requests : 4 * sticks;
    const std::size_t frames = std::max(options.frames, count);

    std::vector<Clock::time_point> started(count);
    std::vector<double> latencies;
    std::queue<std::size_t> idle;
    std::mutex mutex;
    std::condition_variable ready;
    std::exception_ptr failure;
    std::vector<ov::InferRequest> pool; // goes first, and waits for what is in flight: its callbacks use the others
    for (std::size_t i = 0; i < count; i++) {
        pool.push_back(compiled.create_infer_request());
        std::mt19937 generator(0); // every request has the same input
        for (const auto &input : compiled.inputs()) fill(pool[i].get_tensor(input), generator);
        pool[i].infer(); // the first run allocates
        pool[i].set_callback([&, i](std::exception_ptr error) {
            std::lock_guard<std::mutex> lock(mutex);
            latencies.push_back(milliseconds(Clock::now() - started[i]));
            if (error) failure = error;
            idle.push(i);
            ready.notify_one();
        });
        idle.push(i);
    }
    const auto begin = Clock::now();
    for (std::size_t frame = 0; frame < frames; frame++) {
        std::unique_lock<std::mutex> lock(mutex);
        ready.wait(lock, [&] { return !idle.empty(); });
        if (failure) std::rethrow_exception(failure);
        const std::size_t i = idle.front();
        idle.pop();
        started[i] = Clock::now();
        lock.unlock();
        pool[i].start_async();
    }
    {
        std::unique_lock<std::mutex> lock(mutex);
        ready.wait(lock, [&] { return latencies.size() == frames; });
        if (failure) std::rethrow_exception(failure);
    }
    const double total = milliseconds(Clock::now() - begin) / 1e3;
    for (auto &request : pool) request.wait();

    std::vector<std::vector<double>> outputs;
    for (const auto &output : compiled.outputs()) outputs.push_back(numbers(pool[0].get_tensor(output)));
    if (reference.empty()) reference = outputs;
    std::sort(latencies.begin(), latencies.end());
    const auto at = [&](double part) { return latencies[static_cast<std::size_t>(part * static_cast<double>(frames - 1))]; };
    return {device, count, frames, at(0.5), at(0.95), static_cast<double>(frames) / total, difference(outputs, reference), ""};
}

// What the plugin says, without the places in its sources.
static std::string reason(const std::string &what) {
    std::string text;
    for (const auto &line : split(what, '\n'))
        if (!line.empty() && line.rfind("Exception from", 0) != 0) text += (text.empty() ? "" : " ") + line;
    return text.empty() ? what : text;
}

static std::size_t positive(const std::string &key, const std::string &value) {
    const bool digits = !value.empty() && value.size() < 10 && value.find_first_not_of("0123456789") == std::string::npos;
    const std::size_t number = digits ? std::stoul(value) : 0;
    if (number == 0) throw std::runtime_error(key + " takes a number of at least 1, not \"" + value + "\"");
    return number;
}

static Options parse(int count, char **arguments) {
    Options options;
    for (int i = 1; i < count; i += 2) {
        const std::string key = arguments[i];
        if (key == "--help") {
            std::puts("run [--model FILE.xml] [--devices CPU,MYRIAD] [--requests N] [--frames N] [--json FILE] [--csv FILE]");
            std::exit(EXIT_SUCCESS);
        }
        if (i + 1 == count) throw std::runtime_error("no value after " + key);
        const std::string value = arguments[i + 1];
        if (key == "--model") options.model = value;
        else if (key == "--devices" && value.find(':') != std::string::npos) options.devices.push_back(value);
        else if (key == "--devices") {
            for (const auto &device : split(value, ','))
                if (!device.empty()) options.devices.push_back(device);
        }
        else if (key == "--requests") options.requests = positive(key, value);
        else if (key == "--frames") options.frames = positive(key, value);
        else if (key == "--json") options.json = value;
        else if (key == "--csv") options.csv = value;
        else throw std::runtime_error("unknown option " + key);
    }
    return options;
}

// A text in quotes, its own quotes and backslashes spelt as given; control characters become blanks.
static std::string quoted(const std::string &text, const std::string &quote, const std::string &backslash) {
    std::string result = "\"";
    for (const char c : text) {
        if (c == '"') result += quote;
        else if (c == '\\') result += backslash;
        else result += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
    }
    return result + '"';
}

static std::ofstream created(const std::string &path) {
    std::ofstream file(path);
    if (!file) throw std::runtime_error("cannot write " + path);
    return file;
}

static void save(const std::vector<Row> &rows, const Options &options) {
    if (!options.csv.empty()) {
        std::ofstream file = created(options.csv);
        file << "device,requests,frames,median_ms,p95_ms,fps,difference,error\n";
        for (const auto &r : rows) {
            file << quoted(r.device, "\"\"", "\\") << ',';
            if (r.error.empty())
                file << r.requests << ',' << r.frames << ',' << r.median << ',' << r.p95 << ',' << r.fps << ',' << r.difference
                     << ",\n";
            else file << ",,,,,," << quoted(r.error, "\"\"", "\\") << '\n';
        }
    }
    if (!options.json.empty()) {
        std::ofstream file = created(options.json);
        file << "[\n";
        for (std::size_t i = 0; i < rows.size(); i++) {
            const auto &r = rows[i];
            file << "  {\"device\": " << quoted(r.device, "\\\"", "\\\\");
            if (r.error.empty())
                file << ", \"requests\": " << r.requests << ", \"frames\": " << r.frames << ", \"median_ms\": " << r.median
                     << ", \"p95_ms\": " << r.p95 << ", \"fps\": " << r.fps << ", \"difference\": " << r.difference
                     << ", \"error\": null}";
            else file << ", \"error\": " << quoted(r.error, "\\\"", "\\\\") << "}";
            file << (i + 1 < rows.size() ? "," : "") << "\n";
        }
        file << "]\n";
    }
}

int main(int count, char **arguments) try {
    const Options options = parse(count, arguments);
    ov::Core core;
    const auto available = core.get_available_devices();
    try { // by itself the CPU takes bfloat16 where it can
        core.set_property("CPU", {{"INFERENCE_PRECISION_HINT", "f32"}, {"DYNAMIC_QUANTIZATION_GROUP_SIZE", "0"}});
    } catch (const std::exception &) {
        // a release without these properties computes in float32 anyway
    }
    std::vector<std::string> wanted{"CPU"};
    if (!options.devices.empty()) wanted = options.devices;
    else if (std::any_of(available.begin(), available.end(), [](const auto &d) { return d.rfind("MYRIAD", 0) == 0; }))
        wanted = {"MYRIAD"};
    const auto model = core.read_model(options.model);
    std::vector<Row> rows;
    std::vector<std::vector<double>> reference;
    for (const auto &device : expand(wanted, available)) {
        try {
            rows.push_back(measure(core, model, device, options, reference));
        } catch (const std::exception &error) { // the other devices run all the same
            rows.emplace_back();
            rows.back().device = device;
            rows.back().error = reason(error.what());
            std::cerr << "run: " << device << ": " << rows.back().error << '\n';
        }
    }
    std::size_t width = 6;
    for (const auto &r : rows) width = std::max(width, r.device.size());
    std::printf("%-*s  requests  frames  median ms   p95 ms  frames/s  difference\n", static_cast<int>(width), "device");
    bool is_complete = true;
    for (const auto &r : rows) {
        if (r.error.empty())
            std::printf("%-*s  %8zu  %6zu  %9.3f  %7.3f  %8.1f  %10.1e\n", static_cast<int>(width), r.device.c_str(), r.requests,
                        r.frames, r.median, r.p95, r.fps, r.difference);
        else std::printf("%-*s  failed: %s\n", static_cast<int>(width), r.device.c_str(), r.error.c_str());
        is_complete = is_complete && r.error.empty();
    }
    save(rows, options);
    return is_complete ? EXIT_SUCCESS : EXIT_FAILURE;
} catch (const std::exception &error) {
    std::cerr << "run: " << error.what() << '\n';
    return EXIT_FAILURE;
}
