#include "process.hpp"

#include "base/system_clock.hpp"
#include "http/client.hpp"
#include "run_task.hpp"
#include "services.hpp"
#include "souk/json.hpp"
#include "split_shop.hpp"

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <iterator>
#include <stdexcept>
#include <thread>

namespace souk::test {
namespace {

constexpr std::chrono::seconds start_limit{20};
constexpr std::chrono::milliseconds look_again{5};
constexpr seconds patience{10};

/// Test programs are built into tests/ beside it.
std::string binary() {
    const auto self = std::filesystem::read_symlink("/proc/self/exe");
    return (self.parent_path().parent_path() / "souk").string();
}

std::string read_file(const std::filesystem::path& file) {
    std::ifstream in(file, std::ios::binary);
    return std::string((std::istreambuf_iterator<char>(in)), {});
}

[[noreturn]] void become(
    std::vector<char*>& argv, const Environment& environment, const std::string& log
) {
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);  // a test that dies leaves no shop behind
    const int fd = ::open(log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0600);
    ::dup2(fd, STDOUT_FILENO);
    ::dup2(fd, STDERR_FILENO);
    for (const auto& [name, value] : environment)
        ::setenv(name.c_str(), value.c_str(), 1);
    ::execv(argv.front(), argv.data());
    ::_exit(127);
}

pid_t spawn_souk(
    std::vector<std::string> args, const Environment& environment, const std::string& log
) {
    args.insert(args.begin(), binary());
    std::vector<char*> argv;
    for (std::string& arg : args)
        argv.push_back(arg.data());
    argv.push_back(nullptr);
    const pid_t pid = ::fork();
    if (pid < 0) throw std::runtime_error(std::strerror(errno));
    if (pid == 0) become(argv, environment, log);
    return pid;
}

int wait_for(pid_t pid) {
    int status = 0;
    if (::waitpid(pid, &status, 0) != pid) throw std::runtime_error(std::strerror(errno));
    return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

Task<Result<http::Response>> send_once(
    http::Client& client,
    http::Method method,
    std::string target,
    std::string body,
    http::Headers headers
) {
    Clock& clock = base::system_clock();
    const Deadline deadline(clock, patience);
    co_return co_await client.send(
        method, std::move(target), std::move(headers), std::move(body), clock, deadline
    );
}

}  // namespace

Finished run_souk(const std::vector<std::string>& args, const Environment& environment) {
    const TempFolder folder;
    const std::filesystem::path log = folder.path() / "log";
    Finished out;
    out.code = wait_for(spawn_souk(args, environment, log.string()));
    out.out = read_file(log);
    return out;
}

http::Response request(
    http::Method method,
    std::uint16_t port,
    const std::string& target,
    std::string body,
    http::Headers headers
) {
    asio::io_context context(1);
    http::ClientTarget to;
    to.host = "127.0.0.1";
    to.port = port;
    if (!body.empty() && !headers.has("Content-Type"))
        headers.set("Content-Type", "application/json");
    http::Client client(context.get_executor(), std::move(to));
    auto response =
        run_task(context, send_once(client, method, target, std::move(body), std::move(headers)));
    if (!response) throw std::runtime_error(target + ": " + response.error().detail);
    return std::move(*response);
}

namespace {

std::string_view chosen_stack() {
    const char* stack = std::getenv("SOUK_TEST_STACK");
    const std::string_view name = stack == nullptr ? "embedded" : stack;
    if (name != "embedded" && name != "servers" && name != "split")
        throw std::runtime_error("SOUK_TEST_STACK is neither embedded nor servers nor split");
    return name;
}

}  // namespace

bool on_servers() {
    return chosen_stack() != "embedded";
}

bool in_parts() {
    return chosen_stack() == "split";
}

SoukProcess::SoukProcess(std::vector<std::string> args) {
    if (in_parts()) {
        make_parts(std::move(args));
        return;
    }
    data_ = folder_.path() / "shop";
    files_ = data_;
    args_ = std::move(args);
    if (on_servers()) stack_ = Services::shared().fresh_shop();
}

SoukProcess::SoukProcess(InParts, std::vector<std::string> args) {
    make_parts(std::move(args));
}

void SoukProcess::make_parts(std::vector<std::string> args) {
    parts_ = std::make_unique<SplitShop>(Services::shared().fresh_shop(), std::move(args));
}

SoukProcess::SoukProcess(Environment stack, std::vector<std::string> args)
    : data_(folder_.path() / "shop")
    , files_(data_)
    , args_(std::move(args))
    , stack_(std::move(stack)) {}

SoukProcess::SoukProcess(ReplicaOf other, std::vector<std::string> args)
    : SoukProcess(other.first.stack_, std::move(args)) {
    files_ = other.first.files_;
    stack_.emplace_back("SOUK__DATA__SHARED", files_.string());
}

SoukProcess::~SoukProcess() {
    if (pid_ > 0) kill_hard();
}

const SoukProcess& SoukProcess::front() const {
    return parts_ ? parts_->gateway() : *this;
}

void SoukProcess::set_environment(Environment environment) {
    if (parts_) return parts_->set_environment(environment);
    environment_ = std::move(environment);
}

Finished SoukProcess::run(const std::string& command, std::vector<std::string> args) const {
    if (parts_) return parts_->run(command, std::move(args));
    args.insert(args.begin(), {command, "--data", data_.string()});
    return run_souk(args, stack_);
}

void SoukProcess::launch() {
    if (parts_) return parts_->launch();
    std::error_code ignored;
    std::filesystem::remove(data_ / "souk.json", ignored);  // of a process that was killed
    pid_ = begin({});
}

pid_t SoukProcess::begin(const std::vector<std::string>& more) const {
    std::vector<std::string> args = {
        "serve", "--data", data_.string(), "--port", "0", "--metrics-port", "0"};
    args.insert(args.end(), args_.begin(), args_.end());
    args.insert(args.end(), more.begin(), more.end());
    Environment environment = stack_;
    environment.insert(environment.end(), environment_.begin(), environment_.end());
    return spawn_souk(std::move(args), environment, (folder_.path() / "log").string());
}

int SoukProcess::replace() {
    const pid_t predecessor = std::exchange(pid_, begin({"--takeover"}));
    await_ready();
    return wait_for(predecessor);
}

void SoukProcess::start() {
    if (parts_) return parts_->start();
    launch();
    await_ready();
}

void SoukProcess::await_ready() {
    const auto limit = std::chrono::steady_clock::now() + start_limit;
    while (!read_announcement() || !is_ready()) {
        if (!running()) throw std::runtime_error("souk ended instead of starting:\n" + log());
        if (std::chrono::steady_clock::now() > limit)
            throw std::runtime_error("souk did not start in time:\n" + log());
        std::this_thread::sleep_for(look_again);
    }
}

bool SoukProcess::is_ready() const {
    try {
        return get_metrics("/health/ready").status == 200;
    } catch (const std::runtime_error&) {
        return false;  // it ends at this moment
    }
}

bool SoukProcess::read_announcement() {
    const std::string text = read_file(data_ / "souk.json");
    const auto parsed = json::parse(text);
    if (!parsed || parsed->at("pid").as_int64() != pid_) return false;
    port_ = static_cast<std::uint16_t>(parsed->at("port").as_int64());
    metrics_port_ = static_cast<std::uint16_t>(parsed->at("metrics_port").as_int64());
    return true;
}

bool SoukProcess::running() {
    if (parts_) return parts_->running();
    siginfo_t info{};
    return pid_ > 0 &&
           ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOHANG | WNOWAIT) == 0 &&
           info.si_pid == 0;
}

void SoukProcess::send(int signal) {
    if (parts_) return parts_->send(signal);
    if (pid_ <= 0) throw std::logic_error("souk does not run");
    ::kill(pid_, signal);
}

int SoukProcess::wait() {
    if (parts_) return parts_->wait();
    return wait_for(std::exchange(pid_, -1));
}

void SoukProcess::kill_hard() {
    if (parts_) return parts_->kill_hard();
    send(SIGKILL);
    wait();
}

int SoukProcess::stop() {
    if (parts_) return parts_->stop();
    send(SIGTERM);
    return wait();
}

const std::filesystem::path& SoukProcess::data() const {
    return front().data_;
}

std::filesystem::path SoukProcess::files(std::string_view module) const {
    return (parts_ ? parts_->process(module).files_ : files_) / module;
}

std::string SoukProcess::log() const {
    return parts_ ? parts_->log() : read_file(folder_.path() / "log");
}

pid_t SoukProcess::pid() const {
    return front().pid_;
}

std::uint16_t SoukProcess::port() const {
    return front().port_;
}

std::uint16_t SoukProcess::metrics_port() const {
    return front().metrics_port_;
}

std::string SoukProcess::url() const {
    return "http://127.0.0.1:" + std::to_string(port());
}

http::Response SoukProcess::get(const std::string& target, http::Headers headers) const {
    return request(http::Method::get, port(), target, {}, std::move(headers));
}

http::Response SoukProcess::post(
    const std::string& target, const std::string& body, http::Headers headers
) const {
    return request(http::Method::post, port(), target, body, std::move(headers));
}

http::Response SoukProcess::get_metrics(const std::string& target) const {
    return request(http::Method::get, metrics_port(), target);
}

}  // namespace souk::test
