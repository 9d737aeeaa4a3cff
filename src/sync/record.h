// Records as bytes, for spools: each type that is spooled names its fields once, and both directions follow from that.
// The bytes are read by the process that wrote them.
#pragma once

#include <concepts>
#include <cstdint>
#include <cstring>
#include <optional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace checkvalve {

// A record's type has a function that is found by its argument: template <class Archive, class Self>
// void fields(Archive& archive, Self& self), which calls archive(self.first, self.second, …), with Self the type or the
// const type.
template <class T>
concept Scalar = std::is_arithmetic_v<T> || std::is_enum_v<T>;

// How many bytes a record takes.
class RecordSizer {
public:
  std::size_t size() const { return size_; }
  template <class... Fields> void operator()(const Fields&... each) { (add(each), ...); }

private:
  void add(const std::string& text) { size_ += sizeof(std::uint32_t) + text.size(); }
  template <Scalar T> void add(const T&) { size_ += sizeof(T); }
  template <class T> void add(const std::optional<T>& value) {
    size_ += sizeof(bool);
    if (value) add(*value);
  }
  template <class T> void add(const std::vector<T>& list) {
    size_ += sizeof(std::uint32_t);
    for (const T& each : list) add(each);
  }
  template <class T> void add(const T& record) { fields(*this, record); }

  std::size_t size_ = 0;
};

// Writes where RecordSizer::size() bytes are free.
class RecordPacker {
public:
  explicit RecordPacker(char* out) : out_(out) {}
  template <class... Fields> void operator()(const Fields&... each) { (put(each), ...); }

private:
  void put(const std::string& text) {
    put(static_cast<std::uint32_t>(text.size()));
    std::memcpy(out_, text.data(), text.size());
    out_ += text.size();
  }
  template <Scalar T> void put(const T& value) {
    std::memcpy(out_, &value, sizeof value);
    out_ += sizeof value;
  }
  template <class T> void put(const std::optional<T>& value) {
    put(value.has_value());
    if (value) put(*value);
  }
  template <class T> void put(const std::vector<T>& list) {
    put(static_cast<std::uint32_t>(list.size()));
    for (const T& each : list) put(each);
  }
  template <class T> void put(const T& record) { fields(*this, record); }

  char* out_;
};

class RecordUnpacker {
public:
  explicit RecordUnpacker(std::string_view bytes) : bytes_(bytes) {}
  template <class... Fields> void operator()(Fields&... each) { (get(each), ...); }

private:
  void get(std::string& text) {
    std::uint32_t size = 0;
    get(size);
    text.assign(bytes_.substr(0, size));
    bytes_.remove_prefix(size);
  }
  template <Scalar T> void get(T& value) {
    std::memcpy(&value, bytes_.data(), sizeof value);
    bytes_.remove_prefix(sizeof value);
  }
  template <class T> void get(std::optional<T>& value) {
    bool there = false;
    get(there);
    value.reset();
    if (there) get(value.emplace());
  }
  template <class T> void get(std::vector<T>& list) {
    std::uint32_t size = 0;
    get(size);
    list.resize(size);
    for (T& each : list) get(each);
  }
  template <class T> void get(T& record) { fields(*this, record); }

  std::string_view bytes_;
};

// `bytes` is overwritten, and reused.
template <class Record> void pack_record(const Record& record, std::string& bytes) {
  RecordSizer measure;
  measure(record);
  bytes.resize(measure.size());
  RecordPacker pack(bytes.data());
  pack(record);
}

template <class Record> void unpack_record(std::string_view bytes, Record& record) {
  RecordUnpacker unpack(bytes);
  unpack(record);
}

} // namespace checkvalve
