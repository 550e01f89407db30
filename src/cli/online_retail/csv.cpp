#include "cli/online_retail/csv.hpp"

#include <fmt/format.h>
#include <zlib.h>

#include <array>
#include <cerrno>
#include <cstring>

namespace souk::cli {

namespace {

constexpr int end_of_file = -1;
constexpr int broken = -2;

}  // namespace

struct CsvReader::State {
    explicit State(gzFile file) : file(file) {}
    ~State() { gzclose(file); }

    int peek() {
        if (at == end && !fill()) return failed ? broken : end_of_file;
        return static_cast<unsigned char>(buffer[at]);
    }
    int get() {
        const int c = peek();
        if (c >= 0) ++at;
        return c;
    }
    bool fill() {
        const int n = gzread(file, buffer.data(), static_cast<unsigned>(buffer.size()));
        failed = n < 0 || (n == 0 && is_cut());
        at = 0;
        end = n > 0 ? static_cast<std::size_t>(n) : 0;
        return end > 0;
    }

    /// zlib says so of a stream whose end is missing only when the end is looked for.
    bool is_cut() const {
        int code = Z_OK;
        gzerror(file, &code);
        return code == Z_BUF_ERROR;
    }

    Error malformed(std::size_t column, std::string_view reason) const {
        return invalid("malformed_csv", fmt::format("row {}, column {}: {}", row, column, reason));
    }

    gzFile file;
    std::array<char, 1 << 16> buffer{};
    std::size_t at = 0;
    std::size_t end = 0;
    std::size_t row = 0;
    bool failed = false;
};

Result<CsvReader> CsvReader::open(const std::filesystem::path& file) {
    std::error_code error;
    if (std::filesystem::is_directory(file, error))
        return invalid("cannot_read", fmt::format("{}: is a folder, not a file", file.string()));
    errno = 0;
    gzFile handle = gzopen(file.c_str(), "rb");  // reads plain files too
    if (handle == nullptr)
        return invalid("cannot_read", fmt::format("{}: {}", file.string(), std::strerror(errno)));
    return CsvReader(std::make_unique<State>(handle));
}

CsvReader::CsvReader(std::unique_ptr<State> state) : state_(std::move(state)) {}
CsvReader::~CsvReader() = default;
CsvReader::CsvReader(CsvReader&&) noexcept = default;
CsvReader& CsvReader::operator=(CsvReader&&) noexcept = default;

std::size_t CsvReader::row() const {
    return state_->row;
}

namespace {

/// Reads a quoted field; the opening quote is consumed. Empty when fine, otherwise what is wrong.
template <class State>
std::string_view read_quoted(State& in, std::string& field) {
    for (;;) {
        const int c = in.get();
        if (c == end_of_file) return "a quote is opened and never closed";
        if (c == broken) return "the gzip stream is damaged or cut off";
        if (c != '"') {
            field.push_back(static_cast<char>(c));
            continue;
        }
        if (in.peek() != '"') break;
        in.get();
        field.push_back('"');
    }
    const int after = in.peek();
    if (after == ',' || after == '\n' || after == '\r' || after == end_of_file) return {};
    return "text after a closing quote";
}

/// Reads an unquoted field up to its delimiter, which stays.
template <class State>
std::string_view read_plain(State& in, std::string& field) {
    for (;;) {
        const int c = in.peek();
        if (c == broken) return "the gzip stream is damaged or cut off";
        if (c == end_of_file || c == ',' || c == '\n' || c == '\r') return {};
        if (c == '"') return "a quote inside a field that is not quoted";
        field.push_back(static_cast<char>(in.get()));
    }
}

}  // namespace

Result<bool> CsvReader::next(std::vector<std::string>& fields) {
    State& in = *state_;
    fields.clear();
    const int first = in.peek();
    if (first == end_of_file) return false;
    ++in.row;
    for (;;) {
        std::string field;
        std::string_view fault;
        if (in.peek() == '"') {
            in.get();
            fault = read_quoted(in, field);
        } else {
            fault = read_plain(in, field);
        }
        if (!fault.empty()) return in.malformed(fields.size() + 1, fault);
        fields.push_back(std::move(field));
        int delimiter = in.get();
        if (delimiter == ',') continue;
        if (delimiter == '\r' && in.peek() == '\n') in.get();
        return true;
    }
}

}  // namespace souk::cli
