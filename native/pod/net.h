// Socket helpers shared by server, probes and streams.
#pragma once
#include <netinet/in.h>
#include <sys/socket.h>

#include <optional>
#include <string>

namespace pod {

struct Endpoint {
  sockaddr_storage storage{};
  socklen_t size = 0;
  int family() const { return storage.ss_family; }
  const sockaddr* get() const { return reinterpret_cast<const sockaddr*>(&storage); }
};

// `10.1.2.3` or `fd00::1` with a port; nothing if the text is no address.
std::optional<Endpoint> endpoint(const std::string& address, uint16_t port);
std::string addressText(const Endpoint& endpoint);

// Asks for ICMP errors to be kept in the socket's error queue with their sender.
void wantIcmpErrors(int fd, int family);

struct IcmpError {
  std::string offender;
  bool portUnreachable = false;
};

// The latest ICMP error in the queue, which is emptied; nothing if there was none (a TCP RST leaves none).
std::optional<IcmpError> takeIcmpError(int fd);

// Prints one line of the control protocol.
void say(const std::string& line);

// The errno's text without blanks, for the control protocol.
std::string errorWord(int error);

}  // namespace pod
