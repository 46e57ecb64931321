cockpit = 운영
cockpit-concerts = 공연
cockpit-shop = 예매 사이트
cockpit-no-concerts = 아직 공연이 없습니다.
cockpit-view-only = 보기만 하는 계정입니다. 아무것도 바꿀 수 없습니다.
cockpit-concert = 공연
cockpit-of-concert = 이 공연
cockpit-none-coming = 예정된 공연이 없습니다. 지난 공연은 모든 공연에 있습니다.
